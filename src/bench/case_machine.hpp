#pragma once

#include <memory>
#include <optional>

#include "bench/operation_check.hpp"
#include "bench/parts.hpp"
#include "bench/team.hpp"
#include "layers/layer.hpp"
#include "sweep/case.hpp"

namespace tpbench {

/// What runs one case on this rank, put together: backend, communicator and layer, with what asks and checks
/// in between while nothing is timed.
class CaseMachine {
 public:
  /// Collective over the team; throws what setting up throws. The references outlive it.
  CaseMachine(const Case& point, const Team& team, const Parts& parts, Heartbeat& heartbeat);
  CaseMachine(const CaseMachine&) = delete;
  CaseMachine& operator=(const CaseMachine&) = delete;

  /// Allocates every tensor.
  void make_layer();

  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] Backend& backend() { return *backend_; }
  [[nodiscard]] const Communicator& communicator() const { return *communicator_; }
  [[nodiscard]] Layer& layer() { return *layer_; }
  [[nodiscard]] OperationErrors& operations() { return operations_; }
  /// Of this rank's messages between stages.
  struct MessagesPath {
    DataPath data_path = DataPath::host;
    std::optional<MessageProgress> network_progress = {};
  };
  [[nodiscard]] const MessagesPath& messages_path() const { return messages_path_; }
  /// How the outputs of a case that overlaps are made from the next step on.
  void set_form(OverlapForm form) { form_ = form; }
  /// From here on a collective begins without asking whether all ranks have come that far.
  void stop_asking() { asks_ = false; }

 private:
  [[nodiscard]] std::string algorithm() const { return point_.algorithm.value_or("mpi"); }
  std::unique_ptr<Communicator> make_communicator(const Control& ranks);

  const Case& point_;
  const Team& team_;
  const Parts& parts_;
  Heartbeat& heartbeat_;
  Shape shape_;
  OperationErrors operations_;
  bool asks_ = true;
  MessagesPath messages_path_;
  OverlapForm form_ = OverlapForm::overlapped;
  // The layer goes before what it stands on.
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Communicator> communicator_;
  std::unique_ptr<Layer> layer_;
};

}  // namespace tpbench
