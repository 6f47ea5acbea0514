#pragma once

#include <nccl.h>

#include <atomic>
#include <memory>
#include <string>

namespace tpbench::cuda {

/// A communicator of NCCL that is given up when a peer has failed: its kernels would wait for that peer
/// without end, and everything that waits for them too. While a thread waits for the device its asynchronous
/// errors are looked at.
class NcclHandle {
 public:
  /// Collective over its `size` ranks. Throws CommError.
  NcclHandle(const ncclUniqueId& id, int size, int rank);
  ~NcclHandle();
  NcclHandle(const NcclHandle&) = delete;
  NcclHandle& operator=(const NcclHandle&) = delete;

  /// Throws CommError once it was given up.
  [[nodiscard]] ncclComm_t get() const;
  [[nodiscard]] bool is_aborted() const { return aborted_; }

 private:
  void check();

  ncclComm_t comm_ = nullptr;
  std::atomic<bool> aborted_{false};
  std::shared_ptr<void> watched_;
};

/// What ranks need to find each other, as text; empty where NCCL cannot say.
std::string new_nccl_id();
/// The id that such a text is. Throws CaseError where it is none.
ncclUniqueId nccl_id_of(const std::string& text);

}  // namespace tpbench::cuda
