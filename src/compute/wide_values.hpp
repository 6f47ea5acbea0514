#pragma once

#include <array>
#include <type_traits>
#include <vector>

#include "base/half.hpp"

namespace tpbench {

/// What the processor computes in where elements of T lie in memory.
template <typename T>
using Computed = std::conditional_t<std::is_same_v<T, double>, double, float>;

enum class Use { read, write, change };

/// Memory of this thread that holds up to so many values at that place, and keeps it: a step allocates
/// nothing once it has run.
inline float* wide_place(std::size_t place, std::int64_t count) {
  constexpr std::size_t kPlaces = 5;  // operands of one operation
  thread_local std::array<std::vector<float>, kPlaces> places;
  std::vector<float>& values = places.at(place);
  if (values.size() < static_cast<std::size_t>(count)) values.resize(static_cast<std::size_t>(count));
  return values.data();
}

/// Elements of a tensor as they are computed with: where they lie, or, of a type that the processor only
/// stores in, in f32 beside it; what is written there is rounded into the tensor in the end. Operands of one
/// operation have different places.
template <typename T, Use use>
class WideValues {
  static constexpr bool kIsNarrow = !std::is_same_v<T, Computed<T>>;

 public:
  WideValues(std::size_t place, T* elements, std::int64_t count) : elements_(elements), count_(count) {
    if constexpr (kIsNarrow) {
      if (elements == nullptr) return;
      values_ = wide_place(place, count);
      if (use != Use::write) convert(elements, values_, count);
    } else {
      values_ = elements;
    }
  }
  ~WideValues() {
    if constexpr (kIsNarrow && use != Use::read) {
      if (elements_ != nullptr) convert(values_, elements_, count_);
    }
  }
  WideValues(const WideValues&) = delete;
  WideValues& operator=(const WideValues&) = delete;

  [[nodiscard]] Computed<T>* data() const { return values_; }

 private:
  T* elements_;
  std::int64_t count_;
  Computed<T>* values_ = nullptr;
};

template <typename T>
using Read = WideValues<T, Use::read>;
template <typename T>
using Written = WideValues<T, Use::write>;
template <typename T>
using Changed = WideValues<T, Use::change>;

}  // namespace tpbench
