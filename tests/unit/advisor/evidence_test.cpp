#include "advisor/evidence.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "advisor/fabric.hpp"
#include "base/error.hpp"
#include "base/json.hpp"

namespace tpbench {
namespace {

namespace fs = std::filesystem;

const std::string kCorpus = TPBENCH_SOURCE_DIR "/tests/corpus/records-1/";

// A copy of a folder of the corpus, in which a test can break things.
class FolderCopy {
 public:
  explicit FolderCopy(const std::string& name)
      : path_(fs::path(testing::TempDir()) / ("evidence-" + name + std::to_string(getpid()))) {
    fs::remove_all(path_);
    fs::copy(kCorpus + name, path_, fs::copy_options::recursive);
  }
  ~FolderCopy() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  FolderCopy(const FolderCopy&) = delete;
  FolderCopy& operator=(const FolderCopy&) = delete;

  [[nodiscard]] std::string path() const { return path_.string(); }
  [[nodiscard]] fs::path any_ok_record() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(path_ / "records")) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) {
      if (Json::parse(std::ifstream(file)).at("status") == "ok") return file;
    }
    throw std::runtime_error("no record is ok");
  }
  template <typename Change>
  void change(const fs::path& file, const Change& change) const {
    Json document = Json::parse(std::ifstream(file));
    change(document);
    std::ofstream(file) << document.dump();
  }

 private:
  fs::path path_;
};

// What was left out of a file of that name, "KEY: WHY"; empty when nothing was.
std::string left_out_of(const Evidence& evidence, const std::string& file) {
  for (const LeftOut& left_out : evidence.left_out) {
    if (fs::path(left_out.file).filename() == fs::path(file).filename())
      return left_out.key + ": " + left_out.why;
  }
  return "";
}

TEST(Evidence, TakesRecordsOfSchemaOneAndNamesThoseThatWereNotOk) {
  const std::vector<std::string> paths = {kCorpus + "linear"};
  const Evidence evidence = read_evidence(paths);
  EXPECT_GT(evidence.cases.size(), 4U);
  for (const MeasuredCase& measured : evidence.cases) {
    EXPECT_EQ(measured.record.status, Status::ok);
    EXPECT_TRUE(measured.tells_communication) << "one host: both schemas mean the same";
  }
  ASSERT_EQ(evidence.sources.size(), 1U);
  EXPECT_EQ(evidence.sources[0].measured_by, "tpbench.record/1");
  EXPECT_EQ(evidence.sources[0].compute_library, "OpenBLAS 0.3.21 Cooperlake");
  EXPECT_EQ(evidence.sources[0].cores_per_host, 2);
  const auto skipped = std::count_if(
      evidence.left_out.begin(), evidence.left_out.end(),
      [](const LeftOut& out) { return out.key == "/status" && out.why.starts_with("skipped: "); });
  EXPECT_GT(skipped, 0);
}

TEST(Evidence, LeavesOutOneRecordThatIsCutOff) {
  const FolderCopy folder("linear");
  const std::vector<std::string> paths = {folder.path()};
  const std::size_t before = read_evidence(paths).cases.size();
  const fs::path file = folder.any_ok_record();
  std::ofstream(file) << "{\"schema\": \"tpbench.rec";
  const Evidence evidence = read_evidence(paths);
  EXPECT_EQ(evidence.cases.size(), before - 1);
  EXPECT_EQ(left_out_of(evidence, file), ": not valid JSON, or cut off");
}

TEST(Evidence, LeavesOutRecordsOfAnotherSchemaAndWrongTypesByKey) {
  const FolderCopy folder("linear");
  const std::vector<std::string> paths = {folder.path()};
  const fs::path file = folder.any_ok_record();
  folder.change(file, [](Json& record) { record["case"]["hidden_size"] = "wide"; });
  EXPECT_NE(left_out_of(read_evidence(paths), file).find("/case/hidden_size"), std::string::npos)
      << left_out_of(read_evidence(paths), file);
  folder.change(file, [](Json& record) { record["schema"] = "tpbench.record/9"; });
  EXPECT_NE(left_out_of(read_evidence(paths), file).find("tpbench.record/9"), std::string::npos)
      << left_out_of(read_evidence(paths), file);
}

TEST(Evidence, LeavesOutTimesOfRanksThatSharedACore) {
  const FolderCopy folder("linear");
  const fs::path file = folder.any_ok_record();
  folder.change(file, [](Json& record) {
    record["quality"]["warnings"].push_back({{"code", "oversubscribed"}, {"message", "4 ranks on 2 cores"}});
  });
  const std::vector<std::string> paths = {folder.path()};
  EXPECT_EQ(left_out_of(read_evidence(paths), file), "/quality/warnings: oversubscribed");
}

TEST(Evidence, LeavesOutTheOtherMachineWhereFoldersAreMixed) {
  const FolderCopy other("collectives");
  other.change(fs::path(other.path()) / "environment.json",
               [](Json& environment) { environment["blas"]["core"] = "Prescott"; });
  const std::vector<std::string> paths = {kCorpus + "linear", kCorpus + "training", kCorpus + "models",
                                          other.path()};
  const Evidence evidence = read_evidence(paths);
  std::size_t others = 0;
  for (const LeftOut& left_out : evidence.left_out)
    others += left_out.why == "is Prescott, and Cooperlake of most cases" ? 1 : 0;
  EXPECT_GT(others, 0U);
  EXPECT_EQ(evidence.sources[3].cases, 0U);
  EXPECT_GT(evidence.sources[0].cases, 0U);
}

TEST(Evidence, DoesNotMixFabrics) {
  const FolderCopy other("collectives");
  for (const auto& entry : fs::directory_iterator(fs::path(other.path()) / "records"))
    other.change(entry.path(), [](Json& record) { record["label"] = "another-fabric"; });
  const std::vector<std::string> paths = {kCorpus + "linear", other.path()};
  const Evidence evidence = read_evidence(paths);
  for (const MeasuredCase& measured : evidence.cases)
    EXPECT_EQ(measured.tells_communication, measured.source == 0);
  EXPECT_EQ(left_out_of(evidence, other.path()).substr(0, 8), "/label: ");
}

TEST(Evidence, RefusesWhatIsNeitherFolderNorProbe) {
  for (const std::string& path : {std::string("/no/such/folder"), testing::TempDir(),
                                  kCorpus + "linear/environment.json", kCorpus + "README.md"}) {
    const std::vector<std::string> paths = {path};
    EXPECT_THROW((void)read_evidence(paths), UsageError) << path;
  }
}

TEST(Evidence, ReadsProbes) {
  const std::vector<std::string> paths = {kCorpus + "probe.json"};
  const Evidence evidence = read_evidence(paths);
  ASSERT_EQ(evidence.curves.size(), 2U);
  EXPECT_EQ(evidence.curves[0].operation, ProbeOperation::ping_pong);
  EXPECT_EQ(evidence.curves[1].operation, ProbeOperation::all_reduce);
  EXPECT_EQ(evidence.curves[1].ranks, 2);
  EXPECT_EQ(evidence.sources[0].measured_by, "tpbench.probe/1");
}

std::string fault_of_fabric(const std::string& text) {
  Fabric fabric;
  try {
    set_fabric(fabric, text);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(SetFabric, TakesNumbersWithTheirUnits) {
  Fabric fabric;
  set_fabric(fabric, "alpha=20us,bandwidth=12.5GB/s");
  ASSERT_TRUE(fabric.between);
  EXPECT_FALSE(fabric.inside);
  EXPECT_DOUBLE_EQ(fabric.between->message[0].model.alpha_s, 20e-6);
  EXPECT_DOUBLE_EQ(fabric.between->message[0].model.beta_s_per_byte, 1 / 12.5e9);
  set_fabric(fabric, "inside:bandwidth=100 Gbit/s,alpha=900ns");
  ASSERT_TRUE(fabric.inside);
  EXPECT_DOUBLE_EQ(fabric.inside->message[0].model.beta_s_per_byte, 1 / 12.5e9);
  EXPECT_THROW(set_fabric(fabric, "inside:alpha=1us,bandwidth=1GB/s"), UsageError) << "a second one";
}

TEST(SetFabric, RefusesWhatItCannotRead) {
  for (const char* text : {"alpha=20,bandwidth=12.5GB/s", "alpha=20us", "alpha=20us,bandwidth=-1GB/s",
                           "alpha=20us,bandwidth=1GB", "alpha=0us,bandwidth=1GB/s", "alpha=20us,beta=3",
                           "alpha=nanus,bandwidth=1GB/s"})
    EXPECT_NE(fault_of_fabric(text), "") << text;
  EXPECT_NE(fault_of_fabric(kCorpus + "probe.json").find("holds no message between hosts"),
            std::string::npos);
  EXPECT_EQ(fault_of_fabric("inside:" + kCorpus + "probe.json"), "");
}

}  // namespace
}  // namespace tpbench
