#include "comm/session.hpp"

#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <new>

#include "base/error.hpp"
#include "comm/check_mpi.hpp"
#include "comm/mpi_handle.hpp"

namespace tpbench {

Session::Session(bool alone) {
  std::signal(SIGPIPE, SIG_IGN);
  if (alone) setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
  int provided = MPI_THREAD_SINGLE;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS) {
    throw EnvironmentError(
        "MPI_Init_thread failed: is this the mpirun of the MPI library that tpbench was built with?");
  }
  world_ = std::make_unique<Control>(std::make_shared<MpiHandle>(MPI_COMM_WORLD, false));
  MpiTurn::let_threads_take_turns(provided >= MPI_THREAD_SERIALIZED);
  threads_may_communicate_ = world_->min(std::int64_t{provided >= MPI_THREAD_SERIALIZED}) == 1;
  hosts_ = find_hosts(*world_);
  host_count_ = 1 + *std::max_element(host_of().begin(), host_of().end());
  host_ = std::make_unique<Control>(world_->split(host_of()[static_cast<std::size_t>(world_->rank())]));
  share_heartbeats();
  lifeline_ = std::make_unique<Lifeline>(*world_, host_of());
}

Session::~Session() {
  // This rank ends anyway: a launcher that ends all as soon as one has left must not change its status.
  std::signal(SIGTERM, SIG_IGN);
  lifeline_.reset();
  window_.reset();
  host_.reset();
  world_.reset();
  MPI_Finalize();
}

void Session::share_heartbeats() {
  MPI_Comm comm = host_->handle()->comm;
  auto* window = new MPI_Win(MPI_WIN_NULL);
  window_ = std::shared_ptr<void>(window, [](void* held) {
    auto* win = static_cast<MPI_Win*>(held);
    if (*win != MPI_WIN_NULL) MPI_Win_free(win);
    delete win;
  });
  void* base = nullptr;
  // One rank more than needed: the base of a window need not be aligned to a cache line.
  const auto bytes = static_cast<MPI_Aint>(
      host_->rank() == 0 ? sizeof(Heartbeat) * (static_cast<std::size_t>(host_->size()) + 1) : 0);
  TPBENCH_MPI(MPI_Win_allocate_shared(bytes, 1, MPI_INFO_NULL, comm, &base, window));
  MPI_Aint size = 0;
  int unit = 0;
  TPBENCH_MPI(MPI_Win_shared_query(*window, 0, &size, &unit, &base));

  // All ranks of a host round up by the same amount: the first rank says by how much, as addresses differ.
  auto shift = static_cast<std::int64_t>(-reinterpret_cast<std::uintptr_t>(base) % alignof(Heartbeat));
  shift = host_->broadcast(shift);
  auto* slots = static_cast<std::byte*>(base) + shift;
  for (int r = 0; r < host_->size(); ++r) {
    auto* slot = reinterpret_cast<Heartbeat*>(slots + static_cast<std::size_t>(r) * sizeof(Heartbeat));
    if (r == host_->rank()) heartbeat_ = new (slot) Heartbeat;
    heartbeats_.push_back(slot);
  }
  heartbeat_->process_id.store(getpid());
  heartbeat_->world_rank.store(world_->rank());
  host_->barrier();
}

Control Session::make_group(std::span<const int> world_ranks, int tag) const {
  MPI_Group world = MPI_GROUP_NULL, chosen = MPI_GROUP_NULL;
  MPI_Comm comm = MPI_COMM_NULL;
  TPBENCH_MPI(MPI_Comm_group(world_->handle()->comm, &world));
  TPBENCH_MPI(MPI_Group_incl(world, static_cast<int>(world_ranks.size()), world_ranks.data(), &chosen));
  TPBENCH_MPI(MPI_Comm_create_group(world_->handle()->comm, chosen, tag, &comm));
  MPI_Group_free(&chosen);
  MPI_Group_free(&world);
  return Control(std::make_shared<MpiHandle>(comm, true));
}

void abort_job(int status) {
  MPI_Abort(MPI_COMM_WORLD, status);
  _exit(status);
}

}  // namespace tpbench
