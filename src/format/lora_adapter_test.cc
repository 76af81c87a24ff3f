#include "format/lora_adapter.h"

#include <gtest/gtest.h>

#include <limits>

#include "format/gguf_test_file.h"
#include "format/load.h"
#include "format/model_layout.h"
#include "format/test_files.h"

namespace tl {
namespace {

struct Piece {
  std::string name;
  std::vector<int64_t> shape;
  std::string type = "F32";
};

int64_t ElementsOf(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (int64_t dim : shape) elements *= dim;
  return elements;
}

// A file of tensors whose numbers count from 1.
std::string FileOf(const std::vector<Piece>& pieces) {
  std::string header, data;
  for (const Piece& piece : pieces) {
    const size_t begin = data.size();
    for (int64_t i = 0; i < ElementsOf(piece.shape); ++i) {
      data += piece.type == "F32" ? Raw(static_cast<float>(i + 1))
                                  : Raw(static_cast<int32_t>(i + 1));
    }
    header += fmt::format(
        "{}\"{}\":{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{},{}]}}",
        header.empty() ? "" : ",", piece.name, piece.type,
        ShapeText(piece.shape), begin, data.size());
  }
  return SafeTensorsFile("{" + header + "}", data);
}

const char kPlain[] = R"({"peft_type":"LORA","r":2,"lora_alpha":4})";
const char kQ[] = "base_model.model.model.layers.0.self_attn.q_proj";

class LoraAdapterTest : public TempFolderTest {
 protected:
  LoraAdapterTest() {
    Make("config.json", R"({"model_type":"llama","num_attention_heads":2,)"
                        R"("num_key_value_heads":1,"hidden_size":8})");
    Make("model.safetensors",
         FileOf({{"model.embed_tokens.weight", {10, 8}},
                 {"model.layers.0.self_attn.q_proj.weight", {8, 8}},
                 {"model.layers.0.self_attn.k_proj.weight", {4, 8}},
                 {"model.layers.0.self_attn.rotary_emb.inv_freq", {2}, "I32"},
                 {"model.norm.weight", {8}}}));
    std::filesystem::create_directory(Path("adapter"));
  }

  Model Base() const { return LoadModel(Path("model.safetensors")); }
  Model InGguf() const { return InGgufLayout(Base()).model; }

  // What is wrong with an adapter of these tensors, named without the prefix
  // that all of PEFT's have, and without this test's folder.
  std::string Refused(std::vector<Piece> pieces,
                      const std::string& config = kPlain, bool gguf = false) {
    for (Piece& piece : pieces) {
      if (piece.name.starts_with("/")) {
        piece.name.erase(0, 1);
      } else {
        piece.name = std::string(kQ) + piece.name;
      }
    }
    Make("adapter/adapter_model.safetensors", FileOf(pieces));
    Make("adapter/adapter_config.json", config);
    return Failure("adapter", gguf ? InGguf() : Base());
  }
  std::string Failure(const std::string& adapter, const Model& model,
                      double scale = 1) {
    std::string text =
        FailureOf([&] { ReadAdapter(Path(adapter), model, scale); });
    for (size_t at; (at = text.find(folder_ + "/")) != std::string::npos;) {
      text.erase(at, folder_.size() + 1);
    }
    return text;
  }
  std::string RefusedConfig(const std::string& more) {
    return Refused({{".lora_A.weight", {2, 8}}, {".lora_B.weight", {8, 2}}},
                   R"({"peft_type":"LORA","r":2,"lora_alpha":4,)" + more + "}");
  }
};

std::vector<float> Floats(const TensorEntry& entry) {
  std::vector<float> values(entry.elements);
  std::memcpy(values.data(), entry.data.get(), entry.bytes);
  return values;
}

TEST_F(LoraAdapterTest, RowsOfBMoveAsThoseOfTheWeight) {
  EXPECT_EQ(Refused({{".lora_A.weight", {2, 8}}, {".lora_B.weight", {8, 2}}}),
            "no failure");
  const auto plain = ReadAdapter(Path("adapter"), Base(), 1);
  ASSERT_EQ(plain.size(), 1u);
  EXPECT_EQ(plain[0].name, "model.layers.0.self_attn.q_proj.weight");
  EXPECT_EQ(plain[0].scale, 2);
  EXPECT_EQ(Floats(plain[0].left->Made())[2], 3);
  const auto moved = ReadAdapter(Path("adapter"), InGguf(), 0.5);
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0].name, "blk.0.attn_q.weight");
  EXPECT_EQ(moved[0].scale, 1);
  // Halves of a head's four rows become neighbours: 0 2 1 3.
  EXPECT_EQ(Floats(moved[0].left->Made()),
            (std::vector<float>{1, 2, 5, 6, 3, 4, 7, 8, 9, 10, 13, 14, 11, 12,
                                15, 16}));
  EXPECT_EQ(moved[0].right->Made().data, moved[0].right->entry.data);
}

TEST_F(LoraAdapterTest, EachMatrixNeedsTheOther) {
  EXPECT_EQ(Refused({{".lora_A.weight", {2, 8}}}),
            "'adapter/adapter_model.safetensors': has no "
            "'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight'");
  EXPECT_EQ(Refused({{".lora_embedding_B", {8, 2}}}),
            "'adapter/adapter_model.safetensors': has no "
            "'base_model.model.model.layers.0.self_attn.q_proj."
            "lora_embedding_A'");
  EXPECT_EQ(Refused({{".lora_A.weight", {2, 8}},
                     {".lora_embedding_A", {2, 8}},
                     {".lora_embedding_B", {8, 2}}}),
            "'adapter/adapter_model.safetensors': "
            "'model.layers.0.self_attn.q_proj' is both a matrix and an "
            "embedding");
}

TEST_F(LoraAdapterTest, RanksAgree) {
  EXPECT_EQ(Refused({{".lora_A.weight", {2, 8}}, {".lora_B.weight", {8, 3}}}),
            "'adapter/adapter_model.safetensors': "
            "'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight' "
            "[8, 3] and "
            "'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight' "
            "[2, 8] have the ranks 3 and 2");
  EXPECT_EQ(Refused({{".lora_A.weight", {3, 8}}, {".lora_B.weight", {8, 3}}}),
            "'adapter/adapter_model.safetensors': "
            "'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight' "
            "is [3, 8], a rank of 3, but adapter/adapter_config.json says 2");
}

TEST_F(LoraAdapterTest, ShapesFitTheWeight) {
  EXPECT_EQ(Refused({{".lora_A.weight", {2, 6}}, {".lora_B.weight", {4, 2}}}),
            "'adapter/adapter_model.safetensors': "
            "'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight' "
            "[4, 2] and "
            "'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight' "
            "[2, 6] make [out, in] = [4, 6], but "
            "'model.layers.0.self_attn.q_proj.weight' of 'model.safetensors' "
            "is [8, 8]");
  EXPECT_EQ(
      Refused({{".lora_A.weight", {2, 8, 3}}, {".lora_B.weight", {8, 2}}}),
      "'adapter/adapter_model.safetensors': "
      "'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight' "
      "[8, 2] and "
      "'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight' "
      "[2, 8, 3] are no two matrices; others, as of a convolution, are not "
      "merged");
  EXPECT_EQ(Refused({{"/base_model.model.model.norm.weight", {7}}}),
            "'adapter/adapter_model.safetensors': "
            "'base_model.model.model.norm.weight' [7] does not fit "
            "'model.norm.weight' of 'model.safetensors', which is [8]");
  // Where the rows of heads are moved as well.
  EXPECT_EQ(Refused({{".lora_A.weight", {2, 8}}, {".lora_B.weight", {6, 2}}},
                    kPlain, true),
            "tensor "
            "'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight':"
            " 6 rows are not 2 heads of pairs");
}

TEST_F(LoraAdapterTest, TheModelHasWhatIsChanged) {
  const std::vector<Piece> other = {
      {"/base_model.model.model.layers.0.self_attn.w_proj.lora_A.weight",
       {2, 8}},
      {"/base_model.model.model.layers.0.self_attn.w_proj.lora_B.weight",
       {8, 2}}};
  EXPECT_EQ(Refused(other),
            "'adapter/adapter_model.safetensors': changes "
            "'model.layers.0.self_attn.w_proj.weight', which is not among the "
            "5 tensors of 'model.safetensors'; nearest: "
            "'model.layers.0.self_attn.q_proj.weight', "
            "'model.layers.0.self_attn.k_proj.weight'");
  EXPECT_EQ(Refused(other, kPlain, true),
            "'adapter/adapter_model.safetensors': changes "
            "'model.layers.0.self_attn.w_proj.weight', which has no place in "
            "the GGUF layout of 'llama'");
  EXPECT_EQ(
      Refused({{"/base_model.model.model.layers.0.self_attn.rotary_emb."
                "inv_freq",
                {2}}}),
      "'model.safetensors': tensor "
      "'model.layers.0.self_attn.rotary_emb.inv_freq' is I32, a type that can "
      "be listed and saved but not computed with; no adapter can be merged "
      "with it");
}

TEST_F(LoraAdapterTest, NoKeyIsLeftOver) {
  EXPECT_EQ(Refused({{"/unet.lora_down.weight", {2, 8}}}),
            "'adapter/adapter_model.safetensors': 'unet.lora_down.weight' does "
            "not begin with 'base_model.model.' as the keys of PEFT do");
  EXPECT_EQ(Refused({{".lora_C.weight", {2, 8}}}),
            "'adapter/adapter_model.safetensors': "
            "'base_model.model.model.layers.0.self_attn.q_proj.lora_C.weight' "
            "is no part of LoRA that is known");
  EXPECT_EQ(Refused({{".weight", {8, 8}}, {".base_layer.weight", {8, 8}}}),
            "'adapter/adapter_model.safetensors': "
            "'base_model.model.model.layers.0.self_attn.q_proj.weight' and "
            "'base_model.model.model.layers.0.self_attn.q_proj.base_layer."
            "weight' are the same tensor of the model");
  EXPECT_EQ(Refused({{".lora_A.weight", {2, 8}},
                     {".lora_B.weight", {8, 2}},
                     {"/base_model.model.bert.model.layers.0.self_attn.q_proj."
                      "lora_A.weight",
                      {2, 8}},
                     {"/base_model.model.bert.model.layers.0.self_attn.q_proj."
                      "lora_B.weight",
                      {8, 2}}}),
            "'adapter/adapter_model.safetensors': two modules change "
            "'model.layers.0.self_attn.q_proj.weight'");
  EXPECT_EQ(Refused({}),
            "'adapter/adapter_model.safetensors': holds no tensors");
}

TEST_F(LoraAdapterTest, AnEmbeddingThatIsTheOutputIsNotChanged) {
  EXPECT_EQ(
      Refused(
          {{"/base_model.model.model.embed_tokens.lora_embedding_A", {2, 10}},
           {"/base_model.model.model.embed_tokens.lora_embedding_B", {8, 2}}}),
      "'adapter/adapter_model.safetensors': changes "
      "'model.embed_tokens.weight', but 'model.safetensors' has one tensor for "
      "its embedding and its output; an adapter of one of them cannot be "
      "merged");
  EXPECT_EQ(
      Refused({{"/base_model.model.lm_head.weight", {10, 8}}}, kPlain, true),
      "'adapter/adapter_model.safetensors': changes 'output.weight', but "
      "'model.safetensors' has one tensor for its embedding and its "
      "output; an adapter of one of them cannot be merged");
}

TEST_F(LoraAdapterTest, DoraIsSaidAndThere) {
  EXPECT_EQ(Refused({{".lora_A.weight", {2, 8}},
                     {".lora_B.weight", {8, 2}},
                     {".lora_magnitude_vector", {8}}}),
            "adapter/adapter_config.json: 'use_dora' is false, but "
            "'model.layers.0.self_attn.q_proj' has a magnitude");
  EXPECT_EQ(RefusedConfig(R"("use_dora":true)"),
            "adapter/adapter_config.json: 'use_dora' is true, but "
            "'model.layers.0.self_attn.q_proj' has no magnitude");
  const std::string dora =
      R"({"peft_type":"LORA","r":2,"lora_alpha":4,"use_dora":true})";
  EXPECT_EQ(Refused({{".lora_A.weight", {2, 8}},
                     {".lora_B.weight", {8, 2}},
                     {".lora_magnitude_vector", {7}}},
                    dora),
            "'adapter/adapter_model.safetensors': "
            "'base_model.model.model.layers.0.self_attn.q_proj."
            "lora_magnitude_vector' [7] does not fit the 8 rows of "
            "'model.layers.0.self_attn.q_proj.weight'");
  EXPECT_EQ(
      Refused({{".lora_embedding_A", {2, 8}}, {".lora_embedding_B", {8, 2}}},
              dora),
      "'adapter/adapter_model.safetensors': DoRA of the embedding "
      "'model.layers.0.self_attn.q_proj' is not supported");
}

TEST_F(LoraAdapterTest, TheScaleIsFinite) {
  Refused({{".lora_A.weight", {2, 8}}, {".lora_B.weight", {8, 2}}});
  EXPECT_EQ(Failure("adapter", Base(), std::numeric_limits<double>::infinity()),
            "'adapter/adapter_model.safetensors': "
            "'model.layers.0.self_attn.q_proj.weight' would be scaled by inf");
}

TEST_F(LoraAdapterTest, ConfigsAreReadStrictly) {
  const auto config = [this](const std::string& text) {
    return Refused({{".lora_A.weight", {2, 8}}, {".lora_B.weight", {8, 2}}},
                   text);
  };
  EXPECT_EQ(config("{\"r\": 2"),
            "adapter/adapter_config.json: JSON does not end with the bracket "
            "that it began with");
  EXPECT_EQ(config("[]"),
            "adapter/adapter_config.json: JSON at byte 0 has a value of the "
            "wrong kind");
  EXPECT_EQ(config(R"({"peft_type":"LORA","lora_alpha":4})"),
            "adapter/adapter_config.json: has no 'r'");
  EXPECT_EQ(config(R"({"r":2,"r":2})"),
            "adapter/adapter_config.json: 'r' is there twice");
  EXPECT_EQ(config(R"({"peft_type":"IA3"})"),
            "adapter/adapter_config.json: 'peft_type' is 'IA3'; only adapters "
            "of the type 'LORA' are merged");
  EXPECT_EQ(config(R"({"r":0})"),
            "adapter/adapter_config.json: 'r' has a rank of 0, expected 1 to "
            "1048576");
  EXPECT_EQ(RefusedConfig(R"("rank_pattern":{"q_proj":-1})"),
            "adapter/adapter_config.json: 'rank_pattern' has a rank of -1, "
            "expected 1 to 1048576");
  EXPECT_EQ(RefusedConfig(R"("alpha_pattern":{"layers.[01].q_proj":1})"),
            "adapter/adapter_config.json: 'alpha_pattern' has the regular "
            "expression 'layers.[01].q_proj'; only names of modules are known");
  EXPECT_EQ(RefusedConfig(R"("init_lora_weights":"pissa")"),
            "adapter/adapter_config.json: 'init_lora_weights' is 'pissa', "
            "which changes the model's own weights; convert the adapter to "
            "plain LoRA with PEFT first");
  EXPECT_EQ(RefusedConfig(R"("layer_replication":[[0,2],[1,3]])"),
            "adapter/adapter_config.json: 'layer_replication' asks for layers "
            "that are there several times, which is not supported");
  EXPECT_EQ(RefusedConfig(R"("use_qalora":true)"),
            "adapter/adapter_config.json: 'use_qalora' asks for inputs that "
            "are pooled in groups, which is not supported");
  EXPECT_EQ(RefusedConfig(R"("use_qalora":false,"layer_replication":null,)"
                          R"("target_parameters":[],"use_bdlora":{},)"
                          R"("rank_pattern":null,"init_lora_weights":true,)"
                          R"("alpha_pattern":{"^model\\.layers.0":3})"),
            "no failure");
}

TEST_F(LoraAdapterTest, AValueOfTheWrongKindIsNamedByItsKey) {
  const auto config = [this](const std::string& text) {
    return Refused({{".lora_A.weight", {2, 8}}, {".lora_B.weight", {8, 2}}},
                   text);
  };
  const std::string file = "adapter/adapter_config.json: ";
  EXPECT_EQ(config(R"({"lora_alpha":null})"),
            file + "'lora_alpha' is null; expected a number");
  EXPECT_EQ(config(R"({"r":"8"})"), file + "'r' is a text; expected a number");
  EXPECT_EQ(config(R"({"r":2.5})"),
            file + "'r' has a rank of 2.5, expected a whole number");
  EXPECT_EQ(config(R"({"r":1e300})"),
            file + "'r' has a rank of 1e+300, expected 1 to 1048576");
  EXPECT_EQ(config(R"({"peft_type":["LORA"]})"),
            file + "'peft_type' is an array; expected a text");
  EXPECT_EQ(RefusedConfig(R"("use_dora":1)"),
            file + "'use_dora' is a number; expected true or false");
  EXPECT_EQ(RefusedConfig(R"("use_rslora":{})"),
            file + "'use_rslora' is an object; expected true or false");
  EXPECT_EQ(RefusedConfig(R"("rank_pattern":true)"),
            file + "'rank_pattern' is true or false; expected an object");
  EXPECT_EQ(RefusedConfig(R"("alpha_pattern":{"q_proj":"2"})"),
            file + "'alpha_pattern' is a text; expected a number");
  EXPECT_EQ(config(R"({"r":nope})"),
            file.substr(0, file.size() - 1) +
                " JSON at byte 5 has a value of the wrong kind");
}

TEST_F(LoraAdapterTest, WhatIsNoAdapterIsNamed) {
  EXPECT_EQ(Failure("model.safetensors", Base()),
            "'model.safetensors': is no adapter; PEFT's is "
            "adapter_model.safetensors beside adapter_config.json, llama.cpp's "
            "a .gguf file");
  Make("adapter/adapter_model.bin", "");
  EXPECT_EQ(Failure("adapter", Base()),
            "adapter: has adapter_model.bin but no adapter_model.safetensors; "
            "loading the former could run code, so save the adapter as "
            "SafeTensors");
}

// An adapter of llama.cpp for the embedding and q.
GgufFile Gguf() {
  GgufFile file;
  file.Text("general.type", "adapter").Text("adapter.type", "lora");
  return file;
}

class GgufAdapterTest : public LoraAdapterTest {
 protected:
  std::string Refused(const GgufFile& file) {
    Make("a.gguf", file.Bytes());
    return Failure("a.gguf", InGguf());
  }
};

TEST_F(GgufAdapterTest, ItsKindAndArchitectureAreThoseOfTheModel) {
  EXPECT_EQ(Refused(GgufFile().Text("general.type", "model")),
            "'a.gguf': 'general.type' is 'model', of a LoRA adapter 'adapter'");
  EXPECT_EQ(Refused(GgufFile().Text("general.type", "adapter")),
            "'a.gguf': 'adapter.type' is '', of a LoRA adapter 'lora'");
  EXPECT_EQ(Refused(Gguf().Text("general.architecture", "qwen2")),
            "'a.gguf': is for the architecture 'qwen2', 'model.safetensors' is "
            "of 'llama'");
  EXPECT_EQ(Refused(Gguf()
                        .Text("general.architecture", "llama")
                        .U32("adapter.alora.invocation_tokens", 1)),
            "'a.gguf': 'adapter.alora.invocation_tokens' asks for an adapter "
            "that is active after some tokens, which is not supported");
  EXPECT_EQ(Refused(Gguf()
                        .Text("general.architecture", "llama")
                        .Text("adapter.lora.alpha", "2")),
            "'a.gguf': 'adapter.lora.alpha' is no number");
  EXPECT_EQ(Failure("a.gguf", Base()),
            "'a.gguf': has the names of GGUF, 'model.safetensors' those of "
            "Hugging Face; load the model with layout: \"gguf\"");
}

TEST_F(GgufAdapterTest, ItsTensorsComeInPairsThatFit) {
  const auto file = [] { return Gguf().Text("general.architecture", "llama"); };
  const std::string q = "blk.0.attn_q.weight";
  EXPECT_EQ(Refused(file()
                        .Tensor("output_norm.weight", {8}, 0, 0)
                        .Data(std::string(32, '\0'))),
            "'a.gguf': tensor 'output_norm.weight' is neither NAME.lora_a nor "
            "NAME.lora_b");
  EXPECT_EQ(Refused(file()
                        .Tensor(q + ".lora_a", {8, 2}, 0, 0)
                        .Data(std::string(64, '\0'))),
            "'a.gguf': has 'blk.0.attn_q.weight.lora_a' but no "
            "'blk.0.attn_q.weight.lora_b'");
  EXPECT_EQ(Refused(file()
                        .Tensor(q + ".lora_a", {8, 2}, 0, 0)
                        .Tensor(q + ".lora_b", {2, 4}, 0, 64)
                        .Data(std::string(96, '\0'))),
            "'a.gguf': 'blk.0.attn_q.weight.lora_b' [4, 2] and "
            "'blk.0.attn_q.weight.lora_a' [2, 8] make [out, in] = [4, 8], but "
            "'blk.0.attn_q.weight' of 'model.safetensors' is [8, 8]");
  EXPECT_EQ(Refused(file()
                        .Tensor("blk.9.attn_q.weight.lora_a", {8, 2}, 0, 0)
                        .Tensor("blk.9.attn_q.weight.lora_b", {2, 4}, 0, 64)
                        .Data(std::string(96, '\0'))),
            "'a.gguf': changes 'blk.9.attn_q.weight', which is not among the 4 "
            "tensors of 'model.safetensors'; nearest: 'blk.0.attn_q.weight', "
            "'blk.0.attn_k.weight'");
}

}  // namespace
}  // namespace tl
