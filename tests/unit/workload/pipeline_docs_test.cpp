#include "pipeline_docs.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace tpbench {
namespace {

TEST(PipelineDocs, DrawWhatTheReplayGives) {
  std::ifstream file(TPBENCH_SOURCE_DIR "/docs/pipeline.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, pipeline_docs::page(text)) << "write it anew with the target regenerate_docs";
}

}  // namespace
}  // namespace tpbench
