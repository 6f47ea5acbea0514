#include "compute/blas_kernels.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/json.hpp"

namespace tpbench {
namespace {

constexpr CpuVectors kAvx512 = {Vectors::avx512, true};   // Emerald Rapids
constexpr CpuVectors kHalves = {Vectors::avx512, false};  // Zen 4
constexpr CpuVectors kAvx2 = {Vectors::avx2, true};       // Raptor Lake
constexpr CpuVectors kOld = {Vectors::sse, true};

BlasKernels chosen_by_openblas(const std::string& core, const CpuVectors& cpu) {
  KernelFacts facts;
  facts.core = core;
  facts.cpu = cpu;
  return judge_kernels(facts);
}

// What OPENBLAS_CORETYPE would be set to; empty: the kernels stay.
std::string change_from(const std::string& core, const CpuVectors& cpu) {
  const auto variables = variables_for_faster_kernels(chosen_by_openblas(core, cpu));
  return variables ? variables->core : "";
}

TEST(BlasKernels, OfACpuNewerThanTheLibraryAreChanged) {
  EXPECT_EQ(change_from("Prescott", kAvx512),
            "SkylakeX");  // Intel from extended model 0xB, OpenBLAS to 0.3.24
  EXPECT_EQ(change_from("Prescott", kAvx2), "Haswell");
  EXPECT_EQ(change_from("Barcelona", kHalves), "SkylakeX");  // AMD of a family that the library does not know
  EXPECT_EQ(change_from("Nehalem", kAvx512), "SkylakeX");
  EXPECT_EQ(change_from("Sandybridge", kAvx2), "Haswell");
  EXPECT_EQ(change_from("Haswell", kAvx512), "SkylakeX");
}

TEST(BlasKernels, ThatFitStay) {
  for (const char* core : {"SkylakeX", "Cooperlake", "SapphireRapids", "SKYLAKEX"})
    EXPECT_EQ(change_from(core, kAvx512), "") << core;
  for (const char* core : {"Haswell", "Zen", "Excavator"}) EXPECT_EQ(change_from(core, kAvx2), "") << core;
  EXPECT_EQ(change_from("Prescott", kOld), "");
  EXPECT_EQ(change_from("Sandybridge", {Vectors::avx, true}), "");
}

TEST(BlasKernels, StayWhereAvx512RunsInHalves) {
  EXPECT_EQ(change_from("Zen", kHalves), "");
  EXPECT_EQ(change_from("Haswell", kHalves), "");
}

TEST(BlasKernels, OfANameThatIsNotKnownStay) {
  EXPECT_EQ(change_from("Granite", kAvx512), "");
  EXPECT_EQ(change_from("", kAvx512), "");
  KernelFacts facts;  // another architecture
  facts.core = "neoversen1";
  EXPECT_FALSE(variables_for_faster_kernels(judge_kernels(facts)));
}

TEST(BlasKernels, ThatTheUserNamedStayAndAreAdvisedAgainst) {
  KernelFacts facts;
  facts.core = "Prescott";
  facts.cpu = kAvx512;
  facts.core_variable = "Prescott";
  const BlasKernels kernels = judge_kernels(facts);
  EXPECT_FALSE(variables_for_faster_kernels(kernels));
  EXPECT_EQ(kernels.chosen_by, KernelChooser::user);
  EXPECT_FALSE(kernels.chosen_core) << "OpenBLAS was not asked";
  const std::string advice = kernel_advice(kernels, "mpirun").value();
  EXPECT_NE(advice.find("mpirun -x OPENBLAS_CORETYPE=SkylakeX"), std::string::npos) << advice;
  EXPECT_NE(advice.find("unset OPENBLAS_CORETYPE"), std::string::npos) << advice;
  EXPECT_NE(kernel_advice(kernels, "srun")->find("OPENBLAS_CORETYPE=SkylakeX srun"), std::string::npos);
  EXPECT_NE(kernel_advice(kernels, "none")->find("OPENBLAS_CORETYPE=SkylakeX tpbench"), std::string::npos);
}

TEST(BlasKernels, AreChangedOnce) {
  const BlasKernels first = chosen_by_openblas("Prescott", kAvx512);
  const auto variables = variables_for_faster_kernels(first);
  ASSERT_TRUE(variables);
  EXPECT_EQ(variables->mark, std::to_string(getpid()) + ":Prescott");

  KernelFacts again;
  again.cpu = kAvx512;
  again.core_variable = variables->core;
  again.started_again_from = "Prescott";
  again.core = "SkylakeX";
  const BlasKernels second = judge_kernels(again);
  EXPECT_EQ(second.chosen_by, KernelChooser::tpbench);
  EXPECT_EQ(second.chosen_core, "Prescott");
  EXPECT_FALSE(variables_for_faster_kernels(second));
  EXPECT_FALSE(kernel_advice(second, "mpirun"));

  again.core = "Prescott";  // a library that does not obey
  const BlasKernels stubborn = judge_kernels(again);
  EXPECT_FALSE(variables_for_faster_kernels(stubborn)) << "a loop";
  EXPECT_NE(kernel_advice(stubborn, "mpirun")->find("DYNAMIC_ARCH"), std::string::npos);
}

TEST(BlasKernels, OfALibraryForOneCoreCannotBeChanged) {
  KernelFacts facts;
  facts.core = "Prescott";
  facts.cpu = kAvx512;
  facts.can_change = false;
  EXPECT_FALSE(variables_for_faster_kernels(judge_kernels(facts)));
  EXPECT_NE(kernel_advice(judge_kernels(facts), "none")->find("DYNAMIC_ARCH"), std::string::npos);
}

TEST(BlasKernels, ThatTheCpuCannotRunAreNamed) {
  EXPECT_EQ(chosen_by_openblas("SkylakeX", kAvx2).missing, "AVX-512");
  EXPECT_EQ(chosen_by_openblas("Haswell", {Vectors::avx, true}).missing, "AVX2 and FMA");
  EXPECT_FALSE(chosen_by_openblas("Haswell", kAvx512).missing);
}

TEST(BlasKernels, OfThisProcessAreKnown) {
  const BlasKernels& kernels = blas_kernels();
  EXPECT_FALSE(kernels.core.empty());
  EXPECT_FALSE(kernels.reason.empty());
  EXPECT_FALSE(kernels.missing) << "the next product would be SIGILL";
  EXPECT_EQ(kernels_to_json(kernels).at("core"), kernels.core);
}

}  // namespace
}  // namespace tpbench
