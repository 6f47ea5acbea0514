#include "cuda/nccl_handle.hpp"

#include <cstring>
#include <exception>

#include "base/error.hpp"
#include "cuda/check.hpp"
#include "cuda/device.hpp"

namespace tpbench::cuda {

NcclHandle::NcclHandle(const ncclUniqueId& id, int size, int rank) {
  TPBENCH_NCCL(ncclCommInitRank(&comm_, size, id, rank));
  watched_ = Device::get().watch([this] { check(); });
}

NcclHandle::~NcclHandle() {
  watched_.reset();
  if (aborted_) return;
  // While another failure is on its way out, the other ranks do not come to destroy it together.
  if (std::uncaught_exceptions() > 0)
    ncclCommAbort(comm_);
  else
    ncclCommDestroy(comm_);
}

ncclComm_t NcclHandle::get() const {
  if (aborted_) throw CommError("NCCL was given up after a failure");
  return comm_;
}

void NcclHandle::check() {
  if (aborted_) return;
  ncclResult_t state = ncclSuccess;
  TPBENCH_NCCL(ncclCommGetAsyncError(comm_, &state));
  try {
    check_nccl(state, "NCCL", std::source_location::current());
  } catch (...) {
    aborted_ = true;
    ncclCommAbort(comm_);
    throw;
  }
}

std::string new_nccl_id() {
  ncclUniqueId id{};
  if (ncclGetUniqueId(&id) != ncclSuccess) return {};
  return {id.internal, sizeof(id.internal)};
}

ncclUniqueId nccl_id_of(const std::string& text) {
  ncclUniqueId id{};
  if (text.size() != sizeof(id.internal)) throw CaseError("NCCL cannot make an id for a group of ranks");
  std::memcpy(id.internal, text.data(), text.size());
  return id;
}

}  // namespace tpbench::cuda
