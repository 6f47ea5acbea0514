#include "result/running.hpp"

#include "base/json.hpp"
#include "result/atomic_file.hpp"
#include "result/folder.hpp"
#include "result/read_text.hpp"

namespace tpbench {
namespace {

namespace fs = std::filesystem;

std::string to_text(const Record& record) {
  return record_to_json(record).dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace

void mark_running(const fs::path& folder, const Record& record) {
  write_file_atomically(folder / kRunningFile, to_text(record), Flush::no);
}

void clear_running(const fs::path& folder) {
  std::error_code error;
  fs::remove(folder / kRunningFile, error);
}

std::optional<Record> settle_running(const fs::path& folder, const std::optional<std::string>& reason) {
  const fs::path marker = folder / kRunningFile;
  if (!fs::exists(marker)) return std::nullopt;
  std::optional<Record> record;
  const Json document = Json::parse(read_text(marker), nullptr, /*allow_exceptions=*/false);
  try {
    if (!document.is_discarded()) record = record_from_json(document);
  } catch (const std::exception&) {
    // Of another version, or cut off with its host: there is nothing to learn from it.
  }
  if (record) {
    if (reason) record->reason = *reason;
    const fs::path file = folder / "records" / (record->id + ".json");
    bool keeps_epochs = false;
    try {
      keeps_epochs = fs::exists(file) && read_record(file).status == Status::ok;
    } catch (const std::exception&) {
      // No valid record: this one is better.
    }
    if (!keeps_epochs) write_file_atomically(file, to_text(*record));
  }
  clear_running(folder);
  return record;
}

}  // namespace tpbench
