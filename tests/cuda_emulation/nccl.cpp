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
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "machine.hpp"
#include "queue.hpp"
#include "runtime.hpp"

using tpbench::cuda::emulation::check_stream;
using tpbench::cuda::emulation::enter;
using tpbench::cuda::emulation::give;
using tpbench::cuda::emulation::Place;

namespace {

constexpr int kMostRanks = 16;
constexpr std::size_t kSlotBytes = 1 << 16;

struct Shared {
  pthread_barrier_t barrier;
  int ready;  // set last by rank 0
  int device[kMostRanks];
  alignas(64) std::byte slots[kMostRanks][kSlotBytes];
  // What a rank of two is sent by the other.
  struct Mail {
    std::atomic<std::size_t> wanted;             // bytes of the message that it receives now
    std::atomic<std::size_t> filled;             // bytes of the slot that it has not taken
    std::atomic<std::uint64_t> begun, received;  // messages
  } mail[2];
  std::atomic<bool> calls[2];  // has sent or received: the first call of both connects them
};

std::size_t size_of(ncclDataType_t type) { return type == ncclFloat64 ? 8 : type == ncclFloat32 ? 4 : 2; }
std::size_t bytes_of(ncclDataType_t type) { return type == ncclUint8 ? 1 : size_of(type); }

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
  std::atomic<int> queued = 0;  // collectives and messages that are not over
  std::atomic<bool> given_up = false;
  // Messages come whether or not somebody waits for them on this side.
  std::mutex mutex;
  std::condition_variable given;
  std::deque<Place> places;
  bool ends = false;
  std::thread mover;
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

void move_messages(ncclComm& comm) {
  std::unique_lock lock(comm.mutex);
  for (;;) {
    comm.given.wait(lock, [&] { return comm.ends || !comm.places.empty(); });
    if (comm.places.empty()) return;
    const Place place = comm.places.front();
    comm.places.pop_front();
    lock.unlock();
    place.reach();
    lock.lock();
  }
}

void end_mover(ncclComm& comm) {
  {
    const std::lock_guard lock(comm.mutex);
    comm.ends = true;
  }
  comm.given.notify_one();
  if (comm.mover.joinable()) comm.mover.join();
}

// A rank that is alone leaves it to the guard.
void connect(const ncclComm& comm, int peer) {
  comm.shared->calls[comm.rank] = true;
  while (!comm.shared->calls[peer] && !tpbench::cuda::emulation::has_failed()) usleep(20);
}

void queue_message(ncclComm_t comm, cudaStream_t queue, std::function<void()> message) {
  ++comm->queued;
  const Place place = give(queue, [comm, message = std::move(message)] {
    message();
    --comm->queued;
  });
  const std::lock_guard lock(comm->mutex);
  if (!comm->mover.joinable()) comm->mover = std::thread([comm] { move_messages(*comm); });
  comm->places.push_back(place);
  comm->given.notify_one();
}

// Whether it has come true; not when nobody will make it so.
bool come(const ncclComm& comm, const std::function<bool()>& is_so) {
  while (!is_so()) {
    if (comm.given_up || tpbench::cuda::emulation::has_failed()) return false;
    usleep(20);
  }
  return true;
}

// A send is over when the other side has received: nothing lies in between.
void send_now(const ncclComm& comm, int peer, const std::byte* data, std::size_t bytes) {
  Shared::Mail& mail = comm.shared->mail[peer];
  const std::uint64_t number = mail.received + 1;
  if (!come(comm, [&] { return mail.begun == number; })) return;
  if (mail.wanted != bytes)
    tpbench::cuda::emulation::abandon("NCCL: %zu bytes are sent where %zu are received", bytes,
                                      mail.wanted.load());
  usleep(100);  // who writes there meanwhile spoils it
  for (std::size_t first = 0; first < bytes; first += kSlotBytes) {
    const std::size_t size = std::min(kSlotBytes, bytes - first);
    if (!come(comm, [&] { return mail.filled == 0; })) return;
    std::memcpy(comm.shared->slots[peer], data + first, size);
    mail.filled = size;
  }
  come(comm, [&] { return mail.received == number; });
}

void receive_now(const ncclComm& comm, std::byte* data, std::size_t bytes) {
  Shared::Mail& mail = comm.shared->mail[comm.rank];
  mail.wanted = bytes;
  ++mail.begun;
  for (std::size_t first = 0; first < bytes; first += kSlotBytes) {
    if (!come(comm, [&] { return mail.filled != 0; })) return;
    usleep(100);  // who does not wait for it reads what was there before
    std::memcpy(data + first, comm.shared->slots[comm.rank], mail.filled);
    mail.filled = 0;
  }
  ++mail.received;
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
  auto* comm = new ncclComm;
  comm->shared = shared;
  comm->rank = rank;
  comm->size = size;
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
  end_mover(*comm);
  munmap(comm->shared, sizeof(Shared));
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  comm->given_up = true;
  end_mover(*comm);
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

ncclResult_t ncclSend(const void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t queue) {
  if (const ncclResult_t result = begin("ncclSend", comm, queue); result != ncclSuccess) return result;
  if (comm->size != 2 || peer != 1 - comm->rank || count == 0) return ncclInvalidArgument;
  const std::size_t bytes = count * bytes_of(type);
  connect(*comm, peer);
  queue_message(comm, queue, [=] { send_now(*comm, peer, static_cast<const std::byte*>(data), bytes); });
  return ncclSuccess;
}

ncclResult_t ncclRecv(void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t queue) {
  if (const ncclResult_t result = begin("ncclRecv", comm, queue); result != ncclSuccess) return result;
  if (comm->size != 2 || peer != 1 - comm->rank || count == 0) return ncclInvalidArgument;
  const std::size_t bytes = count * bytes_of(type);
  connect(*comm, peer);
  queue_message(comm, queue, [=] { receive_now(*comm, static_cast<std::byte*>(data), bytes); });
  return ncclSuccess;
}

}  // extern "C"
