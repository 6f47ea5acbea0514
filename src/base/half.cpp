#include "base/half.hpp"

#include "base/vectorise.hpp"

namespace tpbench {

TPBENCH_VECTORISE void convert(const float* from, Float16* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = Float16(from[i]);
}
TPBENCH_VECTORISE void convert(const float* from, BFloat16* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = BFloat16(from[i]);
}
TPBENCH_VECTORISE void convert(const Float16* from, float* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
}
TPBENCH_VECTORISE void convert(const BFloat16* from, float* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
}

TPBENCH_VECTORISE void add_to(Float16* to, const Float16* from, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = Float16(float(to[i]) + float(from[i]));
}
TPBENCH_VECTORISE void add_to(BFloat16* to, const BFloat16* from, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = BFloat16(float(to[i]) + float(from[i]));
}

TPBENCH_VECTORISE void round_to_float16(float* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) values[i] = Float16(values[i]);
}
TPBENCH_VECTORISE void round_to_bfloat16(float* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) values[i] = BFloat16(values[i]);
}

}  // namespace tpbench
