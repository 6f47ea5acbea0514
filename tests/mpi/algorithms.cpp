#include "algorithms.hpp"

#include <fmt/format.h>

#include <array>

#include "comm/device_communicators.hpp"
#include "comm/hierarchical_communicator.hpp"
#include "comm/mpi_communicator.hpp"
#include "comm/shm_communicator.hpp"
#include "pretended_device.hpp"

namespace tpbench::test {
namespace {

constexpr std::int64_t kSlotBytes = 4 << 20;

// `size` ranks on `hosts` hosts: ranks of a host one after the other, or the hosts in turn.
std::vector<int> pretended_hosts(int size, int hosts, bool spread) {
  std::vector<int> host_of;
  for (int r = 0; r < size; ++r) host_of.push_back(spread ? r % hosts : r / (size / hosts));
  return host_of;
}

void add_hierarchical(std::vector<Carrier>& carriers, int size, std::int64_t slot_bytes) {
  for (int hosts = 2; hosts <= size; ++hosts) {
    if (size % hosts != 0) continue;
    for (const bool spread : {false, true}) {
      if (spread && hosts == size) continue;
      const std::vector<int> host_of = pretended_hosts(size, hosts, spread);
      carriers.push_back(
          {fmt::format("hierarchical on {} hosts{}, slots of {}", hosts, spread ? " in turn" : "",
                       slot_bytes),
           [=](const Control& group) { return make_hierarchical_communicator(group, host_of, slot_bytes); }});
    }
  }
}

}  // namespace

std::vector<const AlgorithmEntry*> host_algorithms() {
  std::vector<const AlgorithmEntry*> entries;
  for (const AlgorithmEntry& entry : all_algorithms()) {
    if (entry.operands != Operands::device) entries.push_back(&entry);
  }
  return entries;
}

std::vector<Carrier> all_carriers(int size) {
  std::vector<Carrier> carriers;
  for (const AlgorithmEntry* entry : host_algorithms()) {
    carriers.push_back(
        {std::string(entry->name), [=](const Control& group) { return entry->make(group, nullptr); }});
  }
  carriers.push_back({"mpi staged", [](const Control& group) {
                        static PretendedDevice device;
                        return make_staged(make_mpi_communicator(group), device);
                      }});
  add_hierarchical(carriers, size, kSlotBytes);
  return carriers;
}

std::vector<Carrier> all_carriers_in_pieces(int size) {
  std::vector<Carrier> carriers;
  for (const std::int64_t piece : {1, 3, 64}) {
    carriers.push_back({fmt::format("mpi in pieces of {}", piece),
                        [=](const Control& group) { return make_mpi_communicator(group, piece); }});
  }
  for (const ShmSizes sizes :
       {ShmSizes{0, 1}, ShmSizes{0, 200}, ShmSizes{200, 200}, ShmSizes{1 << 20, 1 << 20}}) {
    carriers.push_back(
        {fmt::format("shm in one shot up to {}, slots of {}", sizes.one_shot_bytes, sizes.slot_bytes),
         [=](const Control& group) { return make_shm_communicator(group, sizes); }});
  }
  constexpr std::int64_t kSmallSlotBytes = 200;
  add_hierarchical(carriers, size, kSmallSlotBytes);
  return carriers;
}

}  // namespace tpbench::test
