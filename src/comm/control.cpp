#include "comm/control.hpp"

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>
#include <thread>

#include "comm/check_mpi.hpp"
#include "comm/mpi_handle.hpp"

namespace tpbench {
namespace {

int to_int(std::size_t size) { return static_cast<int>(size); }

MPI_Datatype type_of(double) { return MPI_DOUBLE; }
MPI_Datatype type_of(std::int64_t) { return MPI_INT64_T; }
MPI_Datatype type_of(std::uint64_t) { return MPI_UINT64_T; }

template <typename T>
void reduce(std::span<T> values, MPI_Op op, MPI_Comm comm) {
  constexpr std::size_t kPiece = std::size_t{1} << 24;
  for (std::size_t at = 0; at < values.size(); at += kPiece) {
    const std::size_t count = std::min(kPiece, values.size() - at);
    TPBENCH_MPI(MPI_Allreduce(MPI_IN_PLACE, values.data() + at, to_int(count), type_of(T()), op, comm));
  }
}

std::vector<std::string> cut(const std::string& joined, const std::vector<int>& lengths) {
  std::vector<std::string> texts;
  std::size_t at = 0;
  for (const int length : lengths) {
    texts.push_back(joined.substr(at, static_cast<std::size_t>(length)));
    at += static_cast<std::size_t>(length);
  }
  return texts;
}

}  // namespace

MpiHandle::MpiHandle(MPI_Comm communicator, bool own) : comm(communicator), owned(own) {
  TPBENCH_MPI(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN));
}

MpiHandle::~MpiHandle() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (owned && finalized == 0) MPI_Comm_free(&comm);
}

Control::Control(std::shared_ptr<MpiHandle> handle) : handle_(std::move(handle)) {
  TPBENCH_MPI(MPI_Comm_rank(handle_->comm, &rank_));
  TPBENCH_MPI(MPI_Comm_size(handle_->comm, &size_));
}

using Doubles = std::span<double>;
using Integers = std::span<std::int64_t>;

void Control::reduce_max(Doubles values) const { reduce(values, MPI_MAX, handle_->comm); }
void Control::reduce_max(Integers values) const { reduce(values, MPI_MAX, handle_->comm); }
void Control::reduce_min(Doubles values) const { reduce(values, MPI_MIN, handle_->comm); }
void Control::reduce_min(Integers values) const { reduce(values, MPI_MIN, handle_->comm); }
void Control::reduce_sum(Doubles values) const { reduce(values, MPI_SUM, handle_->comm); }
void Control::reduce_sum(Integers values) const { reduce(values, MPI_SUM, handle_->comm); }
void Control::reduce_or(std::span<std::uint64_t> sets) const { reduce(sets, MPI_BOR, handle_->comm); }

double Control::max(double value) const {
  reduce_max(Doubles(&value, 1));
  return value;
}

std::int64_t Control::max(std::int64_t value) const {
  reduce_max(Integers(&value, 1));
  return value;
}

std::optional<std::int64_t> Control::max(std::optional<std::int64_t> value) const {
  const bool known = min(std::int64_t{value ? 1 : 0}) == 1;
  const std::int64_t largest = max(value.value_or(0));
  return known ? std::optional(largest) : std::nullopt;
}

double Control::min(double value) const {
  reduce_min(Doubles(&value, 1));
  return value;
}

std::int64_t Control::min(std::int64_t value) const {
  reduce_min(Integers(&value, 1));
  return value;
}

std::int64_t Control::broadcast(std::int64_t value) const {
  TPBENCH_MPI(MPI_Bcast(&value, 1, MPI_INT64_T, 0, handle_->comm));
  return value;
}

std::string Control::broadcast(std::string text) const {
  text.resize(static_cast<std::size_t>(broadcast(static_cast<std::int64_t>(text.size()))));
  TPBENCH_MPI(MPI_Bcast(text.data(), to_int(text.size()), MPI_CHAR, 0, handle_->comm));
  return text;
}

std::vector<std::string> Control::gather(const std::string& text) const {
  const int length = to_int(text.size());
  const auto ranks = static_cast<std::size_t>(rank_ == 0 ? size_ : 0);
  std::vector<int> lengths(ranks), offsets(ranks);
  TPBENCH_MPI(MPI_Gather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, 0, handle_->comm));
  std::exclusive_scan(lengths.begin(), lengths.end(), offsets.begin(), 0);
  std::string joined(static_cast<std::size_t>(std::reduce(lengths.begin(), lengths.end())), '\0');
  TPBENCH_MPI(MPI_Gatherv(text.data(), length, MPI_CHAR, joined.data(), lengths.data(), offsets.data(),
                          MPI_CHAR, 0, handle_->comm));
  return cut(joined, lengths);
}

std::vector<std::string> Control::all_gather(const std::string& text) const {
  const int length = to_int(text.size());
  const auto ranks = static_cast<std::size_t>(size_);
  std::vector<int> lengths(ranks), offsets(ranks);
  TPBENCH_MPI(MPI_Allgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, handle_->comm));
  std::exclusive_scan(lengths.begin(), lengths.end(), offsets.begin(), 0);
  std::string joined(static_cast<std::size_t>(std::reduce(lengths.begin(), lengths.end())), '\0');
  TPBENCH_MPI(MPI_Allgatherv(text.data(), length, MPI_CHAR, joined.data(), lengths.data(), offsets.data(),
                             MPI_CHAR, handle_->comm));
  return cut(joined, lengths);
}

std::optional<std::string> Control::agree(const std::optional<std::string>& problem) const {
  int speaker = problem ? rank_ : size_;
  TPBENCH_MPI(MPI_Allreduce(MPI_IN_PLACE, &speaker, 1, MPI_INT, MPI_MIN, handle_->comm));
  if (speaker == size_) return std::nullopt;
  std::string words = problem.value_or("");
  auto length = static_cast<std::int64_t>(words.size());
  TPBENCH_MPI(MPI_Bcast(&length, 1, MPI_INT64_T, speaker, handle_->comm));
  words.resize(static_cast<std::size_t>(length));
  TPBENCH_MPI(MPI_Bcast(words.data(), static_cast<int>(length), MPI_CHAR, speaker, handle_->comm));
  return words;
}

void Control::sleeping_barrier(const std::function<void()>& waiting) const {
  MPI_Request request = MPI_REQUEST_NULL;
  TPBENCH_MPI(MPI_Ibarrier(handle_->comm, &request));
  auto pause = std::chrono::microseconds(50);
  for (int done = 0;;) {
    TPBENCH_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    if (done != 0) return;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(1000));
    if (waiting) waiting();
  }
}

Control Control::split(int colour) const {
  MPI_Comm part = MPI_COMM_NULL;
  TPBENCH_MPI(MPI_Comm_split(handle_->comm, colour, rank_, &part));
  return Control(std::make_shared<MpiHandle>(part, true));
}

void Control::barrier() const { TPBENCH_MPI(MPI_Barrier(handle_->comm)); }

namespace {

// Ranks that are together are known by the first of them.
std::vector<int> number_parts(const Control& group, const Control& part) {
  const auto first = static_cast<int>(part.broadcast(std::int64_t{group.rank()}));
  std::vector<int> parts(static_cast<std::size_t>(group.size()));
  TPBENCH_MPI(MPI_Allgather(&first, 1, MPI_INT, parts.data(), 1, MPI_INT, group.handle()->comm));
  std::map<int, int> number;
  for (int& at : parts) at = number.try_emplace(at, static_cast<int>(number.size())).first->second;
  return parts;
}

}  // namespace

Hosts find_hosts(const Control& group, const std::string& identity) {
  MPI_Comm shared = MPI_COMM_NULL;
  TPBENCH_MPI(
      MPI_Comm_split_type(group.handle()->comm, MPI_COMM_TYPE_SHARED, group.rank(), MPI_INFO_NULL, &shared));
  const Control node(std::make_shared<MpiHandle>(shared, true));
  const std::vector<std::string> identities = node.all_gather(identity);
  const auto equal = std::find(identities.begin(), identities.end(), identity);
  const Control host = node.split(static_cast<int>(equal - identities.begin()));
  return {number_parts(group, host), number_parts(group, node)};
}

}  // namespace tpbench
