// Messages between stages, by what reaches the peer.
#include "comm/point_to_point.hpp"

#include <set>
#include <vector>

namespace tpbench {
namespace {

// Each message by what reaches its peer.
class MixedPointToPoint final : public PointToPoint {
 public:
  MixedPointToPoint(const Control& ranks, const Hosts& hosts, const PointToPointNeeds& needs)
      : rank_(ranks.rank()), near_of_(static_cast<std::size_t>(ranks.size()), -1), by_(needs.tickets) {
    const int host = hosts.host_of[static_cast<std::size_t>(rank_)];
    int seen = 0;
    for (std::size_t r = 0; r < near_of_.size(); ++r) {
      if (hosts.host_of[r] == host) near_of_[r] = seen++;
    }
    near_ = make_shm_point_to_point(ranks.split(host), needs);
    far_ = make_mpi_point_to_point(ranks, needs.tickets);
    for (PointToPoint*& by : by_) by = near_.get();
  }

  int rank() const override { return rank_; }
  std::optional<MessageProgress> network_progress() const override { return far_->network_progress(); }
  Matrix make_landing(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                      std::int64_t columns) override {
    return near_->make_landing(memory, category, dtype, rows, columns);
  }
  void start_receive(std::size_t ticket, int from, int tag, std::span<std::byte> data) override {
    const int peer = choose(ticket, from);
    by_[ticket]->start_receive(ticket, peer, tag, data);
  }
  void start_send(std::size_t ticket, int to, int tag, std::span<const std::byte> data) override {
    const int peer = choose(ticket, to);
    by_[ticket]->start_send(ticket, peer, tag, data);
  }
  bool is_done(std::size_t ticket) override {
    const bool is_near = by_[ticket] == near_.get();
    (is_near ? far_ : near_)->progress();
    return by_[ticket]->is_done(ticket);
  }
  void progress() override {
    near_->progress();
    far_->progress();
  }

 private:
  int choose(std::size_t ticket, int peer) {
    const int near = near_of_[static_cast<std::size_t>(peer)];
    by_[ticket] = near < 0 ? far_.get() : near_.get();
    return near < 0 ? peer : near;
  }

  int rank_;
  std::vector<int> near_of_;  // by rank, its number on this host; -1: on another
  std::unique_ptr<PointToPoint> near_, far_;
  std::vector<PointToPoint*> by_;  // by ticket
};

}  // namespace

std::unique_ptr<PointToPoint> make_point_to_point(const Control& ranks, const PointToPointNeeds& needs,
                                                  const std::string& identity) {
  const Hosts hosts = find_hosts(ranks, identity);
  const std::set<int> distinct(hosts.host_of.begin(), hosts.host_of.end());
  if (distinct.size() == 1) return make_shm_point_to_point(ranks, needs);
  if (distinct.size() == hosts.host_of.size()) return make_mpi_point_to_point(ranks, needs.tickets);
  return std::make_unique<MixedPointToPoint>(ranks, hosts, needs);
}

}  // namespace tpbench
