#include "layers/stage_messages.hpp"

#include <utility>

namespace tpbench {
namespace {

constexpr std::size_t kExchangeSends = 1;  // behind the other sends
constexpr std::size_t kExchangeReceive = 2 * kDirections, kReceiveTickets = kExchangeReceive + 1;

constexpr int kExchangeChannel = static_cast<int>(kDirections);  // behind those of the directions
static_assert(kExchangeChannel < kChannels);
constexpr int kExchangeTag = tag_in(kExchangeChannel, 0);

// Who sends to whom, the same on each rank of the pipeline.
std::vector<Link> links_of(const Shape& whole) {
  const auto ranks = static_cast<int>(whole.layout.pp);
  std::vector<Link> links;
  for (int rank = 0; rank < ranks; ++rank) {
    const int next = (rank + 1) % ranks;
    if (next == 0 && whole.virtual_stages == 1) continue;
    links.push_back({rank, next, static_cast<int>(Direction::forward)});
    if (whole.trains()) links.push_back({next, rank, static_cast<int>(Direction::backward)});
  }
  if (whole.exchanges_tied_gradient()) {
    links.push_back({0, ranks - 1, kExchangeChannel});
    links.push_back({ranks - 1, 0, kExchangeChannel});
  }
  return links;
}

std::span<std::byte> bytes_of(const MatrixView& view) {
  return {static_cast<std::byte*>(view.data),
          static_cast<std::size_t>(view.elements() * size_of(view.dtype))};
}

}  // namespace

StageMessages::StageMessages(const LayerContext& context, const LayerContext& whole, const RankPlan& plan,
                             Landing landing, std::span<const Landings> landings)
    : context_(context),
      whole_(whole.shape),
      pp_rank_(whole.pp_rank),
      plan_(plan),
      landing_(std::move(landing)) {
  stream(Direction::forward).receives = &plan.forward_receives;
  stream(Direction::backward).receives = &plan.backward_receives;
  if (whole_.layout.pp == 1) return;
  constexpr std::int64_t kPosted = 2, kStreams = static_cast<std::int64_t>(kDirections);
  const std::int64_t slice_rows = context_.shape.local_tokens() / whole_.layout.tp;
  const auto bytes_of_rows = [&](std::int64_t rows) {
    return landing_bytes_of(rows * context_.shape.hidden_size * context_.shape.element_size());
  };
  const std::int64_t message_rows = whole_.scatters_boundary() ? slice_rows : context_.shape.local_tokens();
  const std::int64_t exchanged_rows = whole_.exchanges_tied_gradient() ? whole_.vocabulary_rows() : 0;
  PointToPointNeeds needs = {
      .tickets =
          kReceiveTickets + static_cast<std::size_t>(plan.activations + plan.gradient) + kExchangeSends,
      .landing_bytes = 0,
      .received_bytes = kStreams * kPosted * bytes_of_rows(message_rows) + bytes_of_rows(exchanged_rows),
      .links = links_of(whole_)};
  for (const Landings& asked : landings) needs.landing_bytes += asked.count * bytes_of_rows(asked.rows);
  if (whole_.scatters_boundary()) needs.landing_bytes += kStreams * kPosted * bytes_of_rows(slice_rows);
  messages_ = whole.connect(needs);
  if (!whole_.scatters_boundary()) return;
  for (Stream& of : streams_) {
    for (std::int64_t i = 0; i < kPosted && !of.receives->empty(); ++i)
      of.slices.push_back(make_landing(Category::communication, slice_rows));
  }
}

Matrix StageMessages::make_landing(Category category, std::int64_t rows) {
  if (!messages_) return context_.make_matrix(category, rows, context_.shape.hidden_size);
  return messages_->make_landing(context_.backend.memory(), category, context_.shape.dtype, rows,
                                 context_.shape.hidden_size);
}

void StageMessages::start(const MatrixView& exchanged) {
  if (exchanged.rows > 0)
    messages_->start_receive(kExchangeReceive, other_end(), kExchangeTag, bytes_of(exchanged));
  for (const Direction direction : {Direction::forward, Direction::backward}) {
    stream(direction).next = stream(direction).posted = 0;
    post(direction, true);
  }
}

// The place of a gradient may still be leaving: then the message is posted when it is due.
void StageMessages::post(Direction direction, bool waits) {
  Stream& of = stream(direction);
  if (of.posted == of.receives->size()) return;
  const PlannedStep& planned = plan_.steps[(*of.receives)[of.posted]];
  if (direction == Direction::backward && planned.gradient >= 0) {
    if (waits)
      wait_sent(direction, planned);
    else if (!is_sent(direction, planned))
      return;
  }
  const int from = neighbour(direction == Direction::forward ? -1 : 1);
  messages_->start_receive(receive_ticket(direction, of.posted), from,
                           tag(direction, planned.step.stage, planned.step.microbatch),
                           bytes_of(target(direction, of.posted)));
  ++of.posted;
}

MatrixView StageMessages::target(Direction direction, std::size_t message) {
  Stream& of = stream(direction);
  if (!of.slices.empty()) return of.slices[message % of.slices.size()].view();
  return landing_(plan_.steps[(*of.receives)[message]]);
}

void StageMessages::receive(Direction direction, Trace& trace) {
  Stream& of = stream(direction);
  const std::size_t message = of.next++;
  const MatrixView place = target(direction, message);
  trace.begin(Activity::receive, static_cast<std::int64_t>(bytes_of(place).size()));
  if (of.posted == message) post(direction, true);
  post(direction, false);
  messages_->wait(receive_ticket(direction, message));
  trace.end();
  if (of.slices.empty()) return;
  const MatrixView whole = landing_(plan_.steps[(*of.receives)[message]]);
  trace.begin(Activity::all_gather, whole.elements() * context_.shape.element_size());
  context_.communicator.all_gather(place.data, place.elements(), whole.data, whole.dtype);
  trace.end();
}

void StageMessages::send(Direction direction, const PlannedStep& planned, const MatrixView& data,
                         Trace& trace) {
  const std::int64_t offset = direction == Direction::forward ? 1 : -1;
  const std::int64_t to_stage = planned.step.stage + offset;
  MatrixView part = data;
  if (whole_.scatters_boundary()) {
    const std::int64_t rows = data.rows / whole_.layout.tp;
    part = data.row_slice(context_.communicator.rank() * rows, rows);
  }
  trace.turn(direction, to_stage, planned.step.microbatch);
  trace.begin(Activity::send, static_cast<std::int64_t>(bytes_of(part).size()));
  const std::size_t ticket = send_ticket(direction, planned);
  messages_->wait(ticket);  // of the microbatch before in this place, which has long left
  messages_->start_send(ticket, neighbour(offset), tag(direction, to_stage, planned.step.microbatch),
                        bytes_of(part));
  trace.end();
}

// In the key of its event a message has the stage that receives it, in the direction in which nothing else
// comes to it.
void StageMessages::exchange(const MatrixView& part, const MatrixView& others, Trace& trace) {
  const std::int64_t last = whole_.pipeline().stages() - 1;
  const bool is_first = pp_rank_ == 0;
  const auto turn = [&](bool to_first) {
    trace.turn(to_first ? Direction::forward : Direction::backward, to_first ? 0 : last, 0);
  };
  const auto bytes = static_cast<std::int64_t>(bytes_of(part).size());
  turn(!is_first);
  trace.begin(Activity::send, bytes);
  messages_->start_send(exchange_ticket(), other_end(), kExchangeTag, bytes_of(part));
  trace.end();
  turn(is_first);
  trace.begin(Activity::receive, bytes);
  messages_->wait(kExchangeReceive);
  trace.end();
  trace.turn(Direction::backward, is_first ? 0 : last, whole_.microbatches - 1);
  trace.begin(Activity::compute);
  context_.backend.add(part, others, others);
  trace.end();
}

void StageMessages::wait_sent(Direction direction, const PlannedStep& planned) {
  if (messages_) messages_->wait(send_ticket(direction, planned));
}

bool StageMessages::is_sent(Direction direction, const PlannedStep& planned) {
  return !messages_ || messages_->is_done(send_ticket(direction, planned));
}

void StageMessages::progress() {
  if (messages_) messages_->progress();
}

void StageMessages::finish() {
  if (!messages_) return;
  for (std::size_t ticket = kReceiveTickets; ticket <= exchange_ticket(); ++ticket) messages_->wait(ticket);
}

void StageMessages::poison() {
  for (const Stream& of : streams_) {
    for (const Matrix& slice : of.slices) context_.backend.poison(slice.view());
  }
}

std::size_t StageMessages::exchange_ticket() const {
  return kReceiveTickets + static_cast<std::size_t>(plan_.activations + plan_.gradient);
}

std::size_t StageMessages::send_ticket(Direction direction, const PlannedStep& planned) const {
  const std::int64_t place =
      direction == Direction::forward ? planned.activations : plan_.activations + planned.gradient;
  return kReceiveTickets + static_cast<std::size_t>(place);
}

int StageMessages::other_end() const { return pp_rank_ == 0 ? static_cast<int>(whole_.layout.pp) - 1 : 0; }

// MPI promises tags up to 32767; messages that have one tag keep their order.
int StageMessages::tag(Direction direction, std::int64_t to_stage, std::int64_t microbatch) const {
  constexpr std::int64_t kNumbers = 10000;
  const std::int64_t number = (to_stage * whole_.microbatches + microbatch) % kNumbers;
  return tag_in(static_cast<int>(direction), static_cast<int>(number));
}

int StageMessages::neighbour(std::int64_t offset) const {
  const std::int64_t ranks = whole_.layout.pp;
  return static_cast<int>((pp_rank_ + offset + ranks) % ranks);
}

}  // namespace tpbench
