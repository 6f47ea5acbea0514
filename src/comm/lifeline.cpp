#include "comm/lifeline.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "base/json.hpp"

namespace tpbench {
namespace {

constexpr std::size_t kLongestLine = 8192;

// The kernel asks a silent peer every second and gives it up after kSilenceS; so it does with what was sent.
void watch_over(int socket) {
  constexpr int kSilenceS = 7;
  const int on = 1, each_s = 1, silence_ms = kSilenceS * 1000, times = kSilenceS - 1;
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &each_s, sizeof each_s);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &each_s, sizeof each_s);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &silence_ms, sizeof silence_ms);
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Whoever connects must know it: the port is open to all that reach this host.
std::string new_cookie() {
  unsigned char bytes[16] = {};
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) throw std::runtime_error("the kernel has no random numbers");
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

// The addresses of this host that others may reach; its own loopback last, for hosts that are one machine.
std::vector<std::string> own_addresses() {
  std::vector<std::string> addresses, loopback;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || (at->ifa_flags & IFF_UP) == 0) continue;
    char text[INET6_ADDRSTRLEN] = {};
    const void* address = nullptr;
    if (at->ifa_addr->sa_family == AF_INET) {
      address = &reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr;
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      const auto* six = reinterpret_cast<const sockaddr_in6*>(at->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr)) continue;  // means nothing on another host
      address = &six->sin6_addr;
    }
    if (address == nullptr || inet_ntop(at->ifa_addr->sa_family, address, text, sizeof text) == nullptr) continue;
    ((at->ifa_flags & IFF_LOOPBACK) != 0 ? loopback : addresses).emplace_back(text);
  }
  freeifaddrs(list);
  addresses.insert(addresses.end(), loopback.begin(), loopback.end());
  return addresses;
}

// Any address and any free port, IPv4 and IPv6 alike; IPv4 alone where the kernel has no other. -1: neither.
int listen_anywhere(int& port) {
  sockaddr_storage address = {};
  auto* six = reinterpret_cast<sockaddr_in6*>(&address);
  auto* four = reinterpret_cast<sockaddr_in*>(&address);
  for (const int family : {AF_INET6, AF_INET}) {
    const int listener = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0) continue;
    const int off = 0;
    if (family == AF_INET6) setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    address = {};
    address.ss_family = static_cast<sa_family_t>(family);
    socklen_t length = family == AF_INET6 ? sizeof *six : sizeof *four;
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0 && listen(listener, SOMAXCONN) == 0 &&
        getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0) {
      port = ntohs(family == AF_INET6 ? six->sin6_port : four->sin_port);
      return listener;
    }
    close(listener);
  }
  return -1;
}

// A socket that begins to connect; -1 when it cannot.
int begin_to_connect(const std::string& text, int port) {
  sockaddr_in four = {};
  sockaddr_in6 six = {};
  const bool is_four = inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1;
  if (!is_four && inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) != 1) return -1;
  four.sin_family = AF_INET;
  four.sin_port = htons(static_cast<std::uint16_t>(port));
  six.sin6_family = AF_INET6;
  six.sin6_port = four.sin_port;
  const int socket = ::socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return -1;
  const auto* address = is_four ? reinterpret_cast<const sockaddr*>(&four) : reinterpret_cast<const sockaddr*>(&six);
  if (connect(socket, address, is_four ? sizeof four : sizeof six) == 0 || errno == EINPROGRESS) return socket;
  close(socket);
  return -1;
}

}  // namespace

struct Lifeline::Impl {
  struct Connection {
    int socket = -1;
    bool agreed = false;   // the other end is who it should be
    bool ending = false;   // and has said that it ends
    bool greeted = false;  // this end, which connected, has said who it is
    PeerNews peer;         // kind and text unused
    std::string received;  // of a line that is not whole
  };

  explicit Impl(Json own_words) : epoll(epoll_create1(EPOLL_CLOEXEC)), own(std::move(own_words)) {}
  ~Impl() {
    for (const auto& [socket, connection] : connections) close(socket);
    if (listener >= 0) close(listener);
    if (epoll >= 0) close(epoll);
  }

  void add(int socket, std::uint32_t events) {
    epoll_event event = {};
    event.events = events;
    event.data.fd = socket;
    epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
  }

  void accept_all() {
    for (;;) {
      const int socket = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (socket < 0) return;
      watch_over(socket);
      connections[socket].socket = socket;
      add(socket, EPOLLIN);
    }
  }

  void connect_to(const Json& there) {
    peer_of(there, first);
    for (const Json& address : there.at("addresses")) {
      const int socket = begin_to_connect(address.get<std::string>(), there.at("port").get<int>());
      if (socket < 0) continue;
      watch_over(socket);
      connections[socket].socket = socket;
      add(socket, EPOLLOUT);
    }
  }

  static void peer_of(const Json& words, PeerNews& peer) {
    peer.world_rank = words.at("rank").get<std::int64_t>();
    peer.host = words.at("host").get<std::string>();
    peer.who = fmt::format("rank {} (process {} on {})", peer.world_rank, words.at("pid").get<std::int64_t>(), peer.host);
  }

  static bool send_line(const Connection& connection, const std::string& line) {
    const std::string text = line + '\n';
    return send(connection.socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(text.size());
  }

  void drop(int socket) {
    close(socket);  // which takes it out of the epoll
    connections.erase(socket);
  }

  // The connection is up, or will never be.
  void greet(Connection& connection) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(connection.socket, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0 || !send_line(connection, own.dump())) return drop(connection.socket);
    connection.greeted = true;
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.fd = connection.socket;
    epoll_ctl(epoll, EPOLL_CTL_MOD, connection.socket, &event);
  }

  [[nodiscard]] bool is_known(std::int64_t rank) const {
    return std::any_of(connections.begin(), connections.end(), [&](const auto& entry) {
      return entry.second.agreed && entry.second.peer.world_rank == rank;
    });
  }

  // The first line of each end. False: not one of this job, or a second way to one that is connected already.
  bool agree(Connection& connection, const std::string& line) {
    if (listener < 0) {
      connection.peer = first;
      return connection.agreed = line == "welcome";
    }
    const Json words = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!words.is_object() || words.value("cookie", Json()) != own.at("cookie")) return false;
    peer_of(words, connection.peer);
    if (is_known(connection.peer.world_rank)) return false;
    return connection.agreed = send_line(connection, "welcome");
  }

  void hear(Connection& connection, const std::string& line, std::vector<PeerNews>& news) const {
    connection.ending = true;
    if (line == "closing") return;  // in order, as this end will
    PeerNews heard = connection.peer;
    heard.kind = line == "leaving" ? PeerNews::Kind::leaving : PeerNews::Kind::report;
    if (heard.kind == PeerNews::Kind::report) {
      const Json text = Json::parse(line, nullptr, /*allow_exceptions=*/false);
      heard.text = text.is_string() ? text.get<std::string>() : line;
    }
    news.push_back(std::move(heard));
  }

  // Reads what is there; an end of the connection is news where nobody said that it would come.
  void receive(int socket, std::vector<PeerNews>& news) {
    char buffer[1024];
    for (;;) {
      Connection& connection = connections.at(socket);
      const ssize_t count = recv(socket, buffer, sizeof buffer, MSG_DONTWAIT);
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (count <= 0) {
        const bool silent = count < 0 && errno != ECONNRESET && errno != EPIPE;
        if (connection.agreed && !connection.ending) {
          news.push_back(connection.peer);
          news.back().kind = silent ? PeerNews::Kind::unreachable : PeerNews::Kind::ended;
        }
        return drop(socket);
      }
      connection.received.append(buffer, static_cast<std::size_t>(count));
      for (std::size_t end; (end = connection.received.find('\n')) != std::string::npos;) {
        const std::string line = connection.received.substr(0, end);
        connection.received.erase(0, end + 1);
        if (connection.agreed)
          hear(connection, line, news);
        else if (!agree(connection, line))
          return drop(socket);
      }
      if (connection.received.size() > kLongestLine) return drop(socket);
    }
  }

  std::vector<PeerNews> read() {
    std::vector<PeerNews> news;
    constexpr int kAtOnce = 64;
    epoll_event events[kAtOnce];
    const int count = epoll_wait(epoll, events, kAtOnce, 0);
    for (int i = 0; i < count; ++i) {
      const int socket = events[i].data.fd;
      if (socket == listener) {
        accept_all();
        continue;
      }
      const auto found = connections.find(socket);
      if (found == connections.end()) continue;
      if (listener < 0 && !found->second.greeted)
        greet(found->second);
      else
        receive(socket, news);
    }
    return news;
  }

  void tell(const std::string& line) {
    for (auto& [socket, connection] : connections) {
      if (connection.agreed && !connection.ending) send_line(connection, line);
    }
  }

  int epoll = -1;
  int listener = -1;
  Json own;        // what this rank says of itself: cookie, rank, pid, host
  PeerNews first;  // world rank 0, on the others
  std::map<int, Connection> connections;
};

Lifeline::Lifeline(const Control& world, std::span<const int> host_of) {
  const auto rank = static_cast<std::size_t>(world.rank());
  if (std::all_of(host_of.begin(), host_of.end(), [](int host) { return host == 0; })) return;
  utsname names = {};
  uname(&names);
  Json own = {{"rank", world.rank()}, {"pid", getpid()}, {"host", names.nodename}};
  if (rank == 0) {
    int port = 0;
    const int listener = listen_anywhere(port);
    own["cookie"] = listener < 0 ? "" : new_cookie();
    Json told = own;
    told["port"] = port;
    told["addresses"] = listener < 0 ? std::vector<std::string>() : own_addresses();
    (void)world.broadcast(told.dump(-1, ' ', false, Json::error_handler_t::replace));
    if (listener < 0) return;
    impl_ = std::make_unique<Impl>(std::move(own));
    impl_->listener = listener;
    impl_->add(listener, EPOLLIN);
    return;
  }
  const Json there = Json::parse(world.broadcast(""));
  // host_of numbers hosts by their first appearance.
  const bool first_of_host = std::find(host_of.begin(), host_of.end(), host_of[rank]) == host_of.begin() + static_cast<std::ptrdiff_t>(rank);
  if (!first_of_host) return;
  own["cookie"] = there.at("cookie");
  impl_ = std::make_unique<Impl>(std::move(own));
  impl_->connect_to(there);
}

Lifeline::~Lifeline() {
  if (impl_) impl_->tell("closing");
}

int Lifeline::descriptor() const { return impl_ ? impl_->epoll : -1; }
std::vector<PeerNews> Lifeline::read() { return impl_ ? impl_->read() : std::vector<PeerNews>(); }
void Lifeline::say_leaving() {
  if (impl_) impl_->tell("leaving");
}
void Lifeline::report(const std::string& text) {
  if (impl_) impl_->tell(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}
std::size_t Lifeline::connected() const {
  if (!impl_) return 0;
  return static_cast<std::size_t>(std::count_if(impl_->connections.begin(), impl_->connections.end(), [](const auto& entry) {
    return entry.second.agreed && !entry.second.ending;
  }));
}

}  // namespace tpbench
