// The part of NCCL that src/cuda/ uses, for the emulated device: ranks of one host exchange in POSIX shared
// memory.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <fcntl.h>
#include <nccl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "queue.hpp"
#include "runtime.hpp"

using tpbench::cuda::emulation::check_stream;
using tpbench::cuda::emulation::enter;
using tpbench::cuda::emulation::give;

namespace {

constexpr int kMostRanks = 16;
constexpr std::size_t kSlotBytes = 1 << 16;

struct Shared {
  pthread_barrier_t barrier;
  int ready;  // set last by rank 0
  int device[kMostRanks];
  alignas(64) std::byte slots[kMostRanks][kSlotBytes];
};

std::size_t size_of(ncclDataType_t type) { return type == ncclFloat64 ? 8 : type == ncclFloat32 ? 4 : 2; }

double load(const std::byte* data, std::size_t at, ncclDataType_t type) {
  if (type == ncclFloat64) return reinterpret_cast<const double*>(data)[at];
  if (type == ncclFloat32) return reinterpret_cast<const float*>(data)[at];
  if (type == ncclFloat16) return __half2float(reinterpret_cast<const __half*>(data)[at]);
  return __bfloat162float(reinterpret_cast<const __nv_bfloat16*>(data)[at]);
}

// Each addition rounds to the element type, as in a ring.
double sum_of(double a, double b, ncclDataType_t type) {
  if (type == ncclFloat64) return a + b;
  const float sum = static_cast<float>(a) + static_cast<float>(b);
  if (type == ncclFloat16) return __half2float(__float2half_rn(sum));
  if (type == ncclBfloat16) return __bfloat162float(__float2bfloat16_rn(sum));
  return sum;
}

void keep(std::byte* data, std::size_t at, ncclDataType_t type, double value) {
  const auto narrow = static_cast<float>(value);
  if (type == ncclFloat64) reinterpret_cast<double*>(data)[at] = value;
  if (type == ncclFloat32) reinterpret_cast<float*>(data)[at] = narrow;
  if (type == ncclFloat16) reinterpret_cast<__half*>(data)[at] = __float2half_rn(narrow);
  if (type == ncclBfloat16) reinterpret_cast<__nv_bfloat16*>(data)[at] = __float2bfloat16_rn(narrow);
}

}  // namespace

struct ncclComm {
  Shared* shared = nullptr;
  int rank = 0, size = 0;
  int registered = 0;
  std::atomic<int> queued = 0;  // collectives that are not over
};

namespace {

void meet(const ncclComm& comm) { pthread_barrier_wait(&comm.shared->barrier); }

ncclResult_t begin(const char* name, ncclComm_t comm, cudaStream_t queue) {
  if (enter(name) != cudaSuccess) return ncclUnhandledCudaError;
  return comm == nullptr || check_stream(queue) != cudaSuccess ? ncclInvalidArgument : ncclSuccess;
}

void queue_collective(ncclComm_t comm, cudaStream_t queue, const std::function<void()>& collective) {
  ++comm->queued;
  give(queue, [=] {
    collective();
    --comm->queued;
  });
}

// Shows `bytes` of every rank to all, a slot's size at a time: `take(first, size)` reads the slots.
void exchange(const ncclComm& comm, const void* mine, std::size_t bytes,
              const std::function<void(std::size_t first, std::size_t size)>& take) {
  for (std::size_t first = 0; first < bytes; first += kSlotBytes) {
    const std::size_t size = std::min(kSlotBytes, bytes - first);
    std::memcpy(comm.shared->slots[comm.rank], static_cast<const std::byte*>(mine) + first, size);
    meet(comm);
    take(first, size);
    meet(comm);
  }
}

double of_slots(const ncclComm& comm, std::size_t at, ncclDataType_t type, ncclRedOp_t how) {
  double result = load(comm.shared->slots[0], at, type);
  for (int r = 1; r < comm.size; ++r) {
    const double next = load(comm.shared->slots[r], at, type);
    result = how == ncclMax ? std::max(result, next) : sum_of(result, next, type);
  }
  return result;
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclInvalidUsage         ? "emulated: invalid usage"
         : result == ncclUnhandledCudaError ? "emulated: unhandled cuda error"
         : result == ncclRemoteError        ? "emulated: remote process exited"
                                            : "emulated: an error";
}
const char* ncclGetLastError(ncclComm_t) { return ""; }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static int made = 0;
  std::snprintf(id->internal, sizeof(id->internal), "/tpbench-nccl-%d-%d", static_cast<int>(getpid()),
                made++);
  return enter("ncclGetUniqueId") == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t ncclCommInitRank(ncclComm_t* made, int size, ncclUniqueId id, int rank) {
  if (enter("ncclCommInitRank") != cudaSuccess) return ncclUnhandledCudaError;
  if (size > kMostRanks || rank < 0 || rank >= size) return ncclInvalidArgument;
  int file = -1;
  if (rank == 0) {
    file = shm_open(id.internal, O_CREAT | O_EXCL | O_RDWR, 0600);
    if (file < 0 || ftruncate(file, sizeof(Shared)) != 0) return ncclSystemError;
  }
  for (int tries = 0; file < 0 && tries < 20000; ++tries) {
    file = shm_open(id.internal, O_RDWR, 0600);
    if (file >= 0 && lseek(file, 0, SEEK_END) < static_cast<off_t>(sizeof(Shared))) {
      close(file);
      file = -1;
    }
    if (file < 0) usleep(500);
  }
  if (file < 0) return ncclSystemError;
  auto* shared =
      static_cast<Shared*>(mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  close(file);
  if (shared == MAP_FAILED) return ncclSystemError;
  if (rank == 0) {
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&shared->barrier, &attributes, static_cast<unsigned>(size));
    __atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
  }
  while (__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE) == 0) usleep(100);
  auto* comm = new ncclComm{shared, rank, size};
  cudaGetDevice(&shared->device[rank]);
  meet(*comm);
  if (rank == 0) shm_unlink(id.internal);
  bool shares = false;
  for (int a = 0; a < size; ++a) {
    for (int b = 0; b < a; ++b) shares = shares || shared->device[a] == shared->device[b];
  }
  meet(*comm);
  if (shares) {  // "Duplicate GPU detected"
    munmap(shared, sizeof(Shared));
    delete comm;
    return ncclInvalidUsage;
  }
  *made = comm;
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (comm->registered != 0)
    tpbench::cuda::emulation::abandon("NCCL: %d buffers are still registered", comm->registered);
  if (comm->queued != 0)
    tpbench::cuda::emulation::abandon("NCCL: destroyed under %d collectives", comm->queued.load());
  munmap(comm->shared, sizeof(Shared));
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  munmap(comm->shared, sizeof(Shared));
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* state) {
  *state = enter("ncclCommGetAsyncError") == cudaSuccess ? ncclSuccess : ncclRemoteError;
  return ncclSuccess;
}
ncclResult_t ncclCommRegister(const ncclComm_t comm, void* buffer, std::size_t bytes, void** handle) {
  if (enter("ncclCommRegister") != cudaSuccess) return ncclUnhandledCudaError;
  if (buffer == nullptr || bytes == 0) return ncclInvalidArgument;
  *handle = buffer;
  ++comm->registered;
  return ncclSuccess;
}
ncclResult_t ncclCommDeregister(const ncclComm_t comm, void*) {
  --comm->registered;
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t how, ncclComm_t comm, cudaStream_t queue) {
  if (const ncclResult_t result = begin("ncclAllReduce", comm, queue); result != ncclSuccess) return result;
  const std::size_t element = size_of(type);
  queue_collective(comm, queue, [=] {
    exchange(*comm, from, count * element, [&](std::size_t first, std::size_t size) {
      for (std::size_t i = 0; i < size / element; ++i)
        keep(static_cast<std::byte*>(to) + first, i, type, of_slots(*comm, i, type, how));
    });
  });
  return ncclSuccess;
}

ncclResult_t ncclAllGather(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t queue) {
  if (const ncclResult_t result = begin("ncclAllGather", comm, queue); result != ncclSuccess) return result;
  const std::size_t bytes = count * size_of(type);
  queue_collective(comm, queue, [=] {
    exchange(*comm, from, bytes, [&](std::size_t first, std::size_t size) {
      for (int r = 0; r < comm->size; ++r) {
        std::memcpy(static_cast<std::byte*>(to) + static_cast<std::size_t>(r) * bytes + first,
                    comm->shared->slots[r], size);
      }
    });
  });
  return ncclSuccess;
}

ncclResult_t ncclReduceScatter(const void* from, void* to, std::size_t count, ncclDataType_t type,
                               ncclRedOp_t how, ncclComm_t comm, cudaStream_t queue) {
  if (const ncclResult_t result = begin("ncclReduceScatter", comm, queue); result != ncclSuccess)
    return result;
  const std::size_t element = size_of(type), bytes = count * element;
  queue_collective(comm, queue, [=] {
    for (int owner = 0; owner < comm->size; ++owner) {
      const auto* share = static_cast<const std::byte*>(from) + static_cast<std::size_t>(owner) * bytes;
      exchange(*comm, share, bytes, [&](std::size_t first, std::size_t size) {
        for (std::size_t i = 0; owner == comm->rank && i < size / element; ++i)
          keep(static_cast<std::byte*>(to) + first, i, type, of_slots(*comm, i, type, how));
      });
    }
  });
  return ncclSuccess;
}

}  // extern "C"
