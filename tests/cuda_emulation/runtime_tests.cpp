// The emulation itself: what it runs, and what it refuses as a device would.

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/error.hpp"
#include "cuda/kernels.hpp"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "runtime.hpp"

namespace tpbench::cuda::emulation {
namespace {

// A machine as the environment says, for one test.
class EmulatedMachine : public testing::Test {
 protected:
  static void SetUpTestSuite() { ::testing::GTEST_FLAG(death_test_style) = "threadsafe"; }
  void say(const char* variable, const char* value) {
    setenv(variable, value, 1);
    restart();
  }
  void TearDown() override {
    for (const char* variable :
         {"TPBENCH_EMULATED_GPUS", "TPBENCH_EMULATED_GPU_MIB", "TPBENCH_EMULATED_FAULT"}) {
      unsetenv(variable);
    }
    restart();
  }
};

// -- kernels

__global__ void write_positions(int* out) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] += static_cast<int>(1000 * block + thread);
}

TEST_F(EmulatedMachine, RunsEveryThreadOfEveryBlockOnce) {
  std::vector<int> out(std::size_t{2 * 3 * 2 * 4 * 2 * 3});
  launch("write_positions", write_positions, dim3(2, 3, 2), dim3(4, 2, 3), nullptr, out.data());
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], static_cast<int>(1000 * (i / 24) + i % 24));
}

// Each thread sees what its neighbour wrote before the barrier, of this round and not of the next.
__global__ void turn_around(int rounds, int* out) {
  __shared__ int values[128];
  int mine = static_cast<int>(threadIdx.x);
  for (int round = 0; round < rounds; ++round) {
    values[threadIdx.x] = mine;
    __syncthreads();
    mine = values[(threadIdx.x + 1) % blockDim.x];
    __syncthreads();
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = mine;
}

TEST_F(EmulatedMachine, BarriersHoldTheBlock) {
  constexpr int kThreads = 128, kBlocks = 3, kRounds = 5;
  std::vector<int> out(std::size_t{kThreads * kBlocks});
  launch("turn_around", turn_around, dim3(kBlocks), dim3(kThreads), nullptr, kRounds, out.data());
  for (int i = 0; i < kThreads * kBlocks; ++i) {
    EXPECT_EQ(out[static_cast<std::size_t>(i)], (i % kThreads + kRounds) % kThreads);
  }
}

__global__ void reduce(double* sum, double* largest) {
  const double value = threadIdx.x % 2 == 0 ? 1.0 * threadIdx.x : -3.0;
  sum[threadIdx.x] = reduce_block<Sum>(value);
  largest[threadIdx.x] = reduce_block<Largest>(value);
}

TEST_F(EmulatedMachine, BlocksReduce) {
  for (const unsigned threads : {32U, 64U, 96U, 1024U}) {
    std::vector<double> sum(threads), largest(threads);
    launch("reduce", reduce, dim3(1), dim3(threads), nullptr, sum.data(), largest.data());
    const double half = threads / 2;
    for (unsigned i = 0; i < threads; ++i) {
      EXPECT_EQ(sum[i], half * (half - 1) - 3 * half);
      EXPECT_EQ(largest[i], threads - 2);
    }
  }
}

__global__ void half_waits() {
  if (threadIdx.x < blockDim.x / 2) __syncthreads();
}
__global__ void half_a_warp_exchanges(int* out) {
  if (threadIdx.x < 16) *out = __shfl_xor_sync(0xffffffffU, 1, 1);
}
__global__ void exchanges_against_a_barrier(int* out) {
  if (threadIdx.x < 16)
    *out = __shfl_xor_sync(0xffffffffU, 1, 1);
  else
    __syncthreads();
}
__global__ void exchanges_in_part(int* out) { *out = __shfl_xor_sync(0xffffU, 1, 1); }

TEST_F(EmulatedMachine, FindsWhatWouldHang) {
  int out = 0;
  EXPECT_DEATH(launch("half_waits", half_waits, dim3(2), dim3(64), nullptr),
               "kernel half_waits, block .0, 0, 0.: of 64 threads 32 wait for their block, 32 have ended");
  EXPECT_DEATH(launch("half_a_warp", half_a_warp_exchanges, dim3(1), dim3(32), nullptr, &out), "would hang");
  EXPECT_DEATH(launch("against", exchanges_against_a_barrier, dim3(1), dim3(32), nullptr, &out),
               "would hang");
  EXPECT_DEATH(launch("in_part", exchanges_in_part, dim3(1), dim3(32), nullptr, &out), "whole warps");
}

TEST_F(EmulatedMachine, RefusesLaunchesThatADeviceWouldRefuse) {
  for (const auto& [grid, block] :
       {std::pair{dim3(0), dim3(32)}, std::pair{dim3(1), dim3(1025)}, std::pair{dim3(1, 65536), dim3(32)},
        std::pair{dim3(0x80000000U), dim3(32)}}) {
    try {
      launch("half_waits", half_waits, grid, block, nullptr);
      FAIL() << grid.x << " blocks of " << block.x;
    } catch (const CaseError& error) {
      EXPECT_STREQ(error.what(), "kernel half_waits: invalid configuration argument");
    }
  }
  EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "is told once";
}

// -- faults

TEST_F(EmulatedMachine, AFaultComesAtItsCountAndStays) {
  float value = 1;
  const MatrixView x{&value, DType::f32, 1, 1, 1};
  say("TPBENCH_EMULATED_FAULT", "cudaLaunchKernel:3");
  gelu(x, x, nullptr);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess) << "others are not counted";
  gelu(x, x, nullptr);
  const float before = value;
  try {
    gelu(x, x, nullptr);
    FAIL() << "the third";
  } catch (const CommError& error) {
    EXPECT_STREQ(error.what(),
                 "kernel gelu: unspecified launch failure; this process can no longer use the GPU");
  }
  EXPECT_EQ(value, before) << "a kernel that fails has not run";
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure) << "the device stays lost";
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  void* pointer = nullptr;
  EXPECT_EQ(cudaMalloc(&pointer, 16), cudaErrorLaunchFailure);
}

TEST_F(EmulatedMachine, AFaultOfACopy) {
  say("TPBENCH_EMULATED_FAULT", "cudaMemcpyAsync:2");
  int from = 1, to = 0;
  EXPECT_EQ(cudaMemcpyAsync(&to, &from, sizeof(to), cudaMemcpyHostToHost, nullptr), cudaSuccess);
  from = 2;
  EXPECT_EQ(cudaMemcpyAsync(&to, &from, sizeof(to), cudaMemcpyHostToHost, nullptr), cudaErrorLaunchFailure);
  EXPECT_EQ(to, 1);
}

TEST_F(EmulatedMachine, AnEnvironmentThatMeansNothingEndsTheProgram) {
  EXPECT_DEATH(say("TPBENCH_EMULATED_FAULT", "cudaMalloc"), "cudaMemcpyAsync:12");
  EXPECT_DEATH(say("TPBENCH_EMULATED_FAULT", "cudaMalloc:0"), "whole number from 1");
  EXPECT_DEATH(say("TPBENCH_EMULATED_GPUS", "two"), "TPBENCH_EMULATED_GPUS: two must be a whole number");
}

// -- memory

TEST_F(EmulatedMachine, MemoryEndsWhereTheDeviceEnds) {
  say("TPBENCH_EMULATED_GPU_MIB", "4");
  say("TPBENCH_EMULATED_GPUS", "2");
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  void *first = nullptr, *second = nullptr, *elsewhere = nullptr;
  ASSERT_EQ(cudaMalloc(&first, 3 * kMiB), cudaSuccess);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 4096, 0U);
  std::size_t left = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&left, &total), cudaSuccess);
  EXPECT_EQ(left, kMiB);
  EXPECT_EQ(total, 4 * kMiB);
  EXPECT_EQ(cudaMalloc(&second, kMiB + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&elsewhere, 4 * kMiB), cudaSuccess) << "each device has its own";
  EXPECT_EQ(cudaFree(elsewhere), cudaSuccess);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(cudaFree(first), cudaSuccess);
  EXPECT_EQ(cudaFree(first), cudaErrorInvalidValue) << "only once";
  EXPECT_EQ(bytes_in_use(0), 0);
  ASSERT_EQ(cudaMalloc(&second, 4 * kMiB), cudaSuccess);
  EXPECT_EQ(cudaFree(second), cudaSuccess);
}

TEST_F(EmulatedMachine, CopiesGoWhereTheySayOnly) {
  constexpr std::size_t kBytes = 64;
  void *device = nullptr, *pinned = nullptr;
  std::vector<unsigned char> pageable(kBytes, 3), back(kBytes);
  ASSERT_EQ(cudaMalloc(&device, kBytes), cudaSuccess);
  ASSERT_EQ(cudaMallocHost(&pinned, kBytes), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(device, pageable.data(), kBytes, cudaMemcpyHostToDevice, nullptr), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(pinned, device, kBytes, cudaMemcpyDeviceToHost, nullptr), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(back.data(), pinned, kBytes, cudaMemcpyDefault, nullptr), cudaSuccess);
  EXPECT_EQ(back, pageable);
  EXPECT_EQ(cudaMemcpyAsync(pageable.data(), device, kBytes, cudaMemcpyHostToDevice, nullptr),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(device, pinned, kBytes, cudaMemcpyDeviceToDevice, nullptr),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(device, pageable.data(), kBytes + 1, cudaMemcpyHostToDevice, nullptr),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemsetAsync(pageable.data(), 0, kBytes, nullptr), cudaErrorInvalidValue)
      << "not the device's";
  EXPECT_EQ(cudaMemsetAsync(device, 7, kBytes, nullptr), cudaSuccess);
  EXPECT_EQ(cudaMemcpy2DAsync(back.data(), 4, device, 16, 4, 4, cudaMemcpyDeviceToHost, nullptr),
            cudaSuccess);
  EXPECT_EQ(back[15], 7);
  EXPECT_EQ(back[16], 3);
  EXPECT_EQ(cudaFree(pinned), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
  EXPECT_EQ(cudaFree(device), cudaSuccess);
  cudaGetLastError();
}

// -- devices, streams, events

TEST_F(EmulatedMachine, DevicesCanBeToldApart) {
  say("TPBENCH_EMULATED_GPUS", "2");
  int count = 0;
  ASSERT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 2);
  cudaDeviceProp first{}, second{};
  ASSERT_EQ(cudaGetDeviceProperties(&first, 0), cudaSuccess);
  ASSERT_EQ(cudaGetDeviceProperties(&second, 1), cudaSuccess);
  EXPECT_STREQ(first.name, "emulated device (tests)");
  EXPECT_NE(std::memcmp(&first.uuid, &second.uuid, sizeof(first.uuid)), 0);
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
}

TEST_F(EmulatedMachine, AMachineMayHaveNone) {
  say("TPBENCH_EMULATED_GPUS", "0");
  int count = 7;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  EXPECT_EQ(count, 0);
  void* pointer = nullptr;
  EXPECT_EQ(cudaMalloc(&pointer, 1), cudaErrorNoDevice);
  EXPECT_STREQ(cudaGetErrorString(cudaGetLastError()), "no CUDA-capable device is detected");
}

TEST_F(EmulatedMachine, StreamsAndEvents) {
  cudaStream_t stream = nullptr;
  cudaEvent_t start = nullptr, end = nullptr, untimed = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&start, cudaEventDefault), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&end, cudaEventDefault), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming), cudaSuccess);
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorInvalidResourceHandle)
      << "not recorded";
  EXPECT_EQ(cudaEventRecord(start, stream), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(end, stream), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(untimed, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(stream, untimed, 0), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorNotReady);
  EXPECT_EQ(cudaEventQuery(end), cudaErrorNotReady);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
  EXPECT_EQ(cudaEventQuery(end), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaSuccess);
  EXPECT_GE(milliseconds, 0);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, untimed), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle) << "no longer there";
  for (const cudaEvent_t event : {start, end, untimed}) EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
  cudaGetLastError();
}

// What is queued stays undone until it is waited for, however late; other streams do not wait for it.
TEST_F(EmulatedMachine, AStreamDoesNothingBeforeItMust) {
  cudaStream_t first = nullptr, second = nullptr;
  cudaEvent_t event = nullptr;
  float *x = nullptr, *y = nullptr;  // on the host, pinned: the test may look
  ASSERT_EQ(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&x), sizeof(float)), cudaSuccess);
  ASSERT_EQ(cudaMallocHost(reinterpret_cast<void**>(&y), sizeof(float)), cudaSuccess);
  const MatrixView x_view{x, DType::f32, 1, 1, 1}, y_view{y, DType::f32, 1, 1, 1};
  *x = 0, *y = 5;

  add(y_view, y_view, x_view, first);
  copy(x_view, y_view, second);
  EXPECT_EQ(cudaStreamSynchronize(second), cudaSuccess);
  EXPECT_EQ(*y, 0) << "the second has not waited for the first";
  EXPECT_EQ(*x, 0);
  EXPECT_EQ(cudaStreamSynchronize(first), cudaSuccess);
  EXPECT_EQ(*x, 0) << "and took what the first was to add";

  *y = 5;
  add(y_view, y_view, x_view, first);
  EXPECT_EQ(cudaEventRecord(event, first), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(second, event, 0), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(event, second), cudaSuccess) << "the wait is for what it stood for before";
  copy(x_view, y_view, second);
  EXPECT_EQ(cudaStreamSynchronize(second), cudaSuccess);
  EXPECT_EQ(*y, 10);

  const float pageable = 3;
  EXPECT_EQ(cudaMemcpyAsync(x, &pageable, sizeof(float), cudaMemcpyHostToHost, first), cudaSuccess);
  EXPECT_EQ(*x, 10);
  float back = 0;
  EXPECT_EQ(cudaMemcpyAsync(&back, x, sizeof(float), cudaMemcpyHostToHost, first), cudaSuccess);
  EXPECT_EQ(back, 3) << "pageable memory is there at once";
  copy(y_view, x_view, first);
  EXPECT_EQ(cudaFreeHost(y), cudaSuccess);
  EXPECT_EQ(*x, 10) << "memory is free when nobody works on it";

  EXPECT_EQ(cudaFreeHost(x), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(first), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(second), cudaSuccess);
}

TEST_F(EmulatedMachine, AStreamBelongsToItsDevice) {
  say("TPBENCH_EMULATED_GPUS", "2");
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  float value = 1;
  const MatrixView x{&value, DType::f32, 1, 1, 1};
  EXPECT_THROW(gelu(x, x, stream), CaseError);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_NO_THROW(gelu(x, x, stream));
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

}  // namespace
}  // namespace tpbench::cuda::emulation
