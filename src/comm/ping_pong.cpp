#include "comm/ping_pong.hpp"

#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "comm/check_mpi.hpp"
#include "comm/mpi_handle.hpp"

namespace tpbench {
namespace {

constexpr int kPingPongTag = 7;
constexpr std::size_t kWord = sizeof(std::uint64_t);
using Word = std::array<std::byte, kWord>;

// Eight bytes of the payload: SplitMix64 (Steele, Lea, Flood, 2014) at a place of its own for each stamp.
Word payload_word(std::uint64_t stamp, std::size_t word) {
  std::uint64_t z = (stamp << 32) + word + 1;
  z *= 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  z ^= z >> 31;
  Word bytes;
  std::memcpy(bytes.data(), &z, kWord);
  return bytes;
}

void fill(std::span<std::byte> target, std::uint64_t stamp, std::byte flip) {
  for (std::size_t at = 0; at < target.size(); at += kWord) {
    Word word = payload_word(stamp, at / kWord);
    for (std::byte& byte : word) byte ^= flip;
    std::memcpy(target.data() + at, word.data(), std::min(kWord, target.size() - at));
  }
}

std::string words_of_difference(std::size_t place, std::size_t bytes, std::byte got, std::byte expected) {
  return fmt::format("byte {} of a message of {} arrived as {:#04x} and was sent as {:#04x}", place, bytes,
                     std::to_integer<int>(got), std::to_integer<int>(expected));
}

}  // namespace

PingPong::PingPong(const Control& pair, std::int64_t max_bytes) : pair_(pair) {
  if (pair.size() != 2)
    throw std::invalid_argument(fmt::format("ping-pong: {} ranks are no pair", pair.size()));
  if (max_bytes < 1 || max_bytes > std::numeric_limits<int>::max())
    throw std::invalid_argument(fmt::format("ping-pong: messages of {} bytes", max_bytes));
  received_.resize(static_cast<std::size_t>(max_bytes));
  sent_.resize(pair.rank() == 0 ? received_.size() : 0);
}

void PingPong::prepare(std::int64_t bytes, std::uint64_t stamp) {
  if (bytes < 1 || static_cast<std::size_t>(bytes) > received_.size())
    throw std::invalid_argument(fmt::format("ping-pong: a message of {} bytes", bytes));
  bytes_ = static_cast<std::size_t>(bytes);
  stamp_ = stamp;
  if (pair_.rank() == 0) fill(payload(), stamp, std::byte{0});
  fill(std::span(received_).first(bytes_), stamp, std::byte{0xff});
}

void PingPong::run(std::int64_t rounds) {
  MPI_Comm comm = pair_.handle()->comm;
  const auto count = static_cast<int>(bytes_);
  if (pair_.rank() == 0) {
    for (std::int64_t i = 0; i < rounds; ++i) {
      TPBENCH_MPI(MPI_Send(sent_.data(), count, MPI_BYTE, 1, kPingPongTag, comm));
      TPBENCH_MPI(MPI_Recv(received_.data(), count, MPI_BYTE, 1, kPingPongTag, comm, MPI_STATUS_IGNORE));
    }
  } else {
    for (std::int64_t i = 0; i < rounds; ++i) {
      TPBENCH_MPI(MPI_Recv(received_.data(), count, MPI_BYTE, 0, kPingPongTag, comm, MPI_STATUS_IGNORE));
      TPBENCH_MPI(MPI_Send(received_.data(), count, MPI_BYTE, 0, kPingPongTag, comm));
    }
  }
}

std::optional<std::string> PingPong::find_wrong_byte() const {
  for (std::size_t at = 0; at < bytes_; at += kWord) {
    const Word expected = payload_word(stamp_, at / kWord);
    const std::size_t length = std::min(kWord, bytes_ - at);
    if (std::memcmp(received_.data() + at, expected.data(), length) == 0) continue;
    for (std::size_t i = 0; i < length; ++i) {
      if (received_[at + i] != expected[i])
        return words_of_difference(at + i, bytes_, received_[at + i], expected[i]);
    }
  }
  return std::nullopt;
}

}  // namespace tpbench
