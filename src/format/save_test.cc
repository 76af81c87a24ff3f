#include "format/save.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <random>
#include <thread>

#include "format/load.h"
#include "format/test_files.h"

namespace tl {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

class SaveTest : public TempFolderTest {
 protected:
  // What of the folder's files are left, sorted.
  std::vector<std::string> Listing() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
};

Tensor Floats(std::vector<float> values) {
  Tensor tensor =
      MakeTensor(DType::F32, Shape{static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.as<float>());
  return tensor;
}

std::string Bytes(const TensorEntry& entry) {
  const auto stored = entry.stored();
  return {reinterpret_cast<const char*>(stored.data()), stored.size()};
}

// As the reference implementation writes it.
const char kReference[] =
    "{\"__metadata__\":{\"format\":\"pt\"},"
    "\"wide\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]},"
    "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]},"
    "\"z\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[12,16]},"
    "\"half\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[16,20]},"
    "\"flag\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[20,21]}} ";

TEST_F(SaveTest, AFileOfTheReferenceComesOutByteForByte) {
  std::string header = kReference;
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::string file = SafeTensorsFile(header, "abcdefghijklmnopqrstu");
  SaveModel(LoadModel(Make("in.safetensors", file)), Path("out.safetensors"));
  EXPECT_EQ(Content("out.safetensors"), file);
}

TEST_F(SaveTest, DoesNotAskForFilesBesideTheModelThatItDoesNotNeed) {
  Make("config.json", "not JSON");
  Make("tokenizer.json", "neither");
  const std::string file = SafeTensorsFile("{}      ", "");
  const Model model = LoadModel(Make("in.safetensors", file));
  fs::create_directory(Path("to"));
  SaveModel(model, Path("to/out.safetensors"));
  SaveModel(model, Path("to/out.gguf"));
  EXPECT_EQ(LoadModel(Path("to/out.safetensors")).size(), 0);
  EXPECT_EQ(LoadModel(Path("to/out.gguf")).size(), 0);
}

TEST_F(SaveTest, AnEmptyModelIsStillAFile) {
  SaveModel(Model(), Path("out.safetensors"));
  EXPECT_EQ(Content("out.safetensors"),
            SafeTensorsFile("{\"__metadata__\":{\"format\":\"pt\"}}", ""));
  EXPECT_EQ(LoadModel(Path("out.safetensors")).size(), 0);
}

TEST_F(SaveTest, KeepsMetadataOfTheSource) {
  Model model;
  model.metadata().Set("format", "np");
  model.metadata().Set("note", "line\n\"quoted\" \x01 \u00e9");
  SaveModel(model, Path("out.safetensors"));
  EXPECT_EQ(LoadModel(Path("out.safetensors")).metadata(), model.metadata());
}

TEST_F(SaveTest, WritesChangedTensorsAndPassesTheOthersThrough) {
  const std::string path = Make(
      "m",
      SafeTensorsFile(
          "{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
          "\"ids\":{\"dtype\":\"I16\",\"shape\":[2],\"data_offsets\":[4,8]}"
          ",\"odd\":{\"dtype\":\"F5_WILD\",\"shape\":[9],\"data_offsets\":"
          "[8,11]}}",
          "abcd1234xyz"));
  Model model = LoadModel(path);
  model.Set("w", Floats({1, 2, 3}));
  model.Set("new\0name"s, Floats({4}));
  SaveModel(model, Path("out.safetensors"));

  const Model saved = LoadModel(Path("out.safetensors"));
  ASSERT_EQ(saved.size(), 4);
  EXPECT_EQ(saved.tensors()[0].name, "new\0name"s);
  EXPECT_EQ(saved.Get("w").shape, std::vector<int64_t>{3});
  EXPECT_EQ(FirstFloat(saved.Get("w").data.get() + 8), 3);
  EXPECT_EQ(Bytes(saved.Get("ids")), "1234");
  EXPECT_EQ(saved.Get("odd").type_name(), "F5_WILD");
  EXPECT_EQ(Bytes(saved.Get("odd")), "xyz");
}

TEST_F(SaveTest, TheDataBeginsAtAMultipleOfEight) {
  for (const char* name : {"a", "ab", "abc", "abcd", "abcde"}) {
    Model model;
    model.Set(name, Floats({1}));
    SaveModel(model, Path("out.safetensors"));
    EXPECT_EQ(LoadModel(Path("out.safetensors")).Get(name).offset() % 8, 0) << name;
  }
}

TEST_F(SaveTest, SavesOverTheFileThatItWasLoadedFrom) {
  Model model;
  model.Set("big", Floats(std::vector<float>(100'000, 3)));
  model.Set("small", Floats({1}));
  SaveModel(model, Path("m.safetensors"));

  Model loaded = LoadModel(Path("m.safetensors"));
  loaded.Set("small", Floats({2}));
  SaveModel(loaded, Path("m.safetensors"));
  SaveModel(loaded, Path("m.safetensors"));  // the old bytes are still there to copy

  const Model again = LoadModel(Path("m.safetensors"));
  EXPECT_EQ(Bytes(again.Get("big")), Bytes(model.Get("big")));
  EXPECT_EQ(FirstFloat(again.Get("small").data.get()), 2);
}

TEST_F(SaveTest, CopiesATensorOfAnotherModelWithItsStoredBytes) {
  const Model source = LoadModel(
      Make("m.safetensors", SafeTensorsFile("{\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],"
                                "\"data_offsets\":[0,4]}}",
                                "abcd")));
  Model model;
  model.Set("v", source.Get("w"));
  SaveModel(model, Path("out.safetensors"));
  const Model saved = LoadModel(Path("out.safetensors"));
  EXPECT_EQ(saved.Get("v").dtype, DType::F8_E4M3);
  EXPECT_EQ(Bytes(saved.Get("v")), "abcd");
}

TEST_F(SaveTest, AMappedTensorThatWasSetIsStillWatched) {
  Model source;
  source.Set("w", Floats({1, 2}));
  SaveModel(source, Path("m.safetensors"));
  Model model;
  model.Set("v", LoadModel(Path("m.safetensors")).Get("w").AsTensor());
  const auto size = static_cast<int64_t>(fs::file_size(Path("m.safetensors")));
  fs::resize_file(Path("m.safetensors"), size - 1);
  EXPECT_EQ(FailureOf([&] { SaveModel(model, Path("out.safetensors")); }),
            fmt::format("{}: shrank from {} to {} bytes while it was in use",
                        Path("m.safetensors"), size, size - 1));
}

TEST_F(SaveTest, RefusesNamesThatCannotBeReadBack) {
  Model model;
  model.Set("__metadata__", Floats({1}));
  EXPECT_EQ(FailureOf([&] { SaveModel(model, Path("out.safetensors")); }),
            "a tensor called '__metadata__' cannot be read back from "
            "SafeTensors");
  Model broken;
  broken.Set("a\xff", Floats({1}));
  EXPECT_EQ(FailureOf([&] { SaveModel(broken, Path("out.safetensors")); }),
            "'a\xff' is not UTF-8, which SafeTensors needs");
  EXPECT_TRUE(Listing().empty());
}

TEST_F(SaveTest, RefusesANameThatPromisesAnotherFormat) {
  for (const char* name : {"m.pt", "m", "mlmodel"}) {
    EXPECT_EQ(FailureOf([&] { SaveModel(Model(), Path(name)); }),
              Path(name) +
                  ": the ending says what to write: .safetensors or .gguf");
  }
}

TEST_F(SaveTest, RefusesToWriteCoreMl) {
  for (const char* name : {"m.mlpackage", "m.mlmodel", "m.mlmodelc"}) {
    EXPECT_EQ(FailureOf([&] { SaveModel(Model(), Path(name)); }),
              Path(name) +
                  ": CoreML models are read here and not written; the ending "
                  "says what to write: .safetensors or .gguf");
  }
}

TEST_F(SaveTest, BytesComputedToBeWrittenAreLetGo) {
  std::weak_ptr<std::byte> made;
  TensorEntry entry;
  entry.name = "w";
  entry.dtype = DType::F32;
  entry.shape = {2};
  entry.elements = 2;
  entry.bytes = 8;
  entry.deferred = std::make_shared<DeferredBytes>([&] {
    const auto bytes = AllocateHost(8);
    std::memset(bytes.get(), 0, 8);
    made = bytes;
    return bytes;
  });
  Model model;
  model.Add(entry);
  for (const char* type : {"", "f16"}) {
    SaveModel(model, Path("m.safetensors"), {.type = type});
    EXPECT_TRUE(made.expired());
  }
}

TEST_F(SaveTest, FilesThatAnOldIndexWouldHideAreRefused) {
  Model model;
  for (const char* name : {"a", "b", "c"}) model.Set(name, Floats({1, 2}));
  const std::string path = Path("model.safetensors");
  SaveShards(model, path, {}, 8);
  const auto files = Listing();
  EXPECT_EQ(files.size(), 4u);
  const auto failure = [&](size_t stale, const char* example) {
    return fmt::format(
        "{}: '{}.index.json' is there and names {} other files of a model, "
        "such as '{}'; remove them, or write into another folder",
        path, path, stale, example);
  };
  EXPECT_EQ(FailureOf([&] { SaveModel(model, path); }),
            failure(3, "model-00001-of-00003.safetensors"));
  EXPECT_EQ(FailureOf([&] { SaveShards(model, path, {}, 16); }),
            failure(3, "model-00001-of-00003.safetensors"));
  EXPECT_EQ(Listing(), files);
  SaveModel(model, Path("other.safetensors"));
}

// Killed between two of them, a program would leave parts of two models.
TEST_F(SaveTest, SeveralFilesReplaceNone) {
  Model model;
  for (const char* name : {"a", "b"}) model.Set(name, Floats({1, 2}));
  const auto refusal = [&](const std::string& path) {
    return FailureOf([&] { SaveShards(model, path, {}, 8); });
  };
  const auto said = [&](const std::string& file) {
    return Path(file) +
           ": is there already, and the files of a model cannot be replaced in "
           "one step; remove them, or write into another folder";
  };
  SaveShards(model, Path("m.safetensors"), {}, 8);
  EXPECT_EQ(refusal(Path("m.safetensors")),
            said("m.safetensors.index.json"));
  Make("g-00002-of-00002.gguf", "mine");
  EXPECT_EQ(refusal(Path("g.gguf")), said("g-00002-of-00002.gguf"));
  EXPECT_EQ(ReadTextFile(Path("g-00002-of-00002.gguf"), 100), "mine");
  EXPECT_FALSE(std::filesystem::exists(Path("g-00001-of-00002.gguf")));
}

TEST_F(SaveTest, ValuesThatVanishAreCounted) {
  Model model;
  Tensor tiny = MakeTensor(DType::F32, Shape{2, 64});
  std::fill_n(tiny.as<float>(), 128, 1e-9f);
  model.Set("w", std::move(tiny));
  const auto note = [&](const std::string& type) {
    const SaveNotes notes = SaveModel(model, Path("m.gguf"), {.type = type});
    return notes.size() == 1 ? notes[0] : "no note";
  };
  EXPECT_EQ(note("f16"),
            "'w': 128 of 128 values are below what F16 holds, became 0");
  EXPECT_EQ(note("q8_0"),
            "'w': 128 of 128 values are below what Q8_0 holds, became 0");
  EXPECT_EQ(note("f32"), "no note");
}

TEST_F(SaveTest, AFolderThatIsNotThereIsNamed) {
  EXPECT_EQ(FailureOf([&] { SaveModel({}, Path("back/model.safetensors")); }),
            fmt::format("{}: the folder '{}' does not exist",
                        Path("back/model.safetensors"), Path("back")));
}

TEST_F(SaveTest, AVectorThatWasComputedIsF32InGguf) {
  Model model;
  model.Set("norm", MakeTensor(DType::F16, Shape{4}));
  model.Set("w", MakeTensor(DType::F16, Shape{2, 4}));
  SaveModel(model, Path("m.gguf"));
  const Model saved = LoadModel(Path("m.gguf"));
  EXPECT_EQ(saved.Get("norm").dtype, DType::F32);
  EXPECT_EQ(saved.Get("w").dtype, DType::F16);
}

TEST_F(SaveTest, TheFileTypeIsWhatTheTensorsAre) {
  const auto file_type = [&](uint32_t said, DType dtype) {
    Model model;
    model.metadata().Set("general.file_type", MetadataValue::Of(said));
    model.Set("w", MakeTensor(dtype, Shape{2, 4}));
    SaveModel(model, Path("m.gguf"));
    return LoadModel(Path("m.gguf")).metadata().Int("general.file_type");
  };
  EXPECT_EQ(file_type(15, DType::F16), 1);  // q4_k_m, but nothing is Q4_K
  EXPECT_EQ(file_type(1, DType::F32), 0);
  EXPECT_EQ(file_type(1, DType::F16), 1);
}

TEST_F(SaveTest, AVocabularyAloneKeepsItsMetadata) {
  Model model("m.gguf", "GGUF");
  Metadata& metadata = model.metadata();
  metadata.Set("general.file_type", MetadataValue::Of(uint32_t{15}));
  metadata.Set("general.quantization_version", MetadataValue::Of(uint32_t{2}));
  SaveModel(model, Path("m.safetensors"));
  SaveModel(LoadModel(Path("m.safetensors")), Path("m.gguf"));
  EXPECT_EQ(LoadModel(Path("m.gguf")).metadata(), metadata);
}

TEST_F(SaveTest, ATokenizerThatStaysBehindIsNamed) {
  fs::create_directory(Path("static"));
  Model embeddings;
  embeddings.Set("embeddings", Floats({1}));
  SaveModel(embeddings, Path("static/model.safetensors"));
  Make("static/tokenizer.json", "{}");
  const Model source = LoadModel(Path("static"));
  const std::string note = fmt::format(
      "is without the tokenizer in '{}', which stays behind",
      Path("static/tokenizer.json"));
  EXPECT_EQ(SaveModel(source, Path("m.gguf")), SaveNotes{note});
  EXPECT_EQ(SaveModel(source, Path("m.safetensors")), SaveNotes{note});
  EXPECT_EQ(SaveModel(source, Path("static/two.safetensors")), SaveNotes{});
}

TEST_F(SaveTest, ATokenizerThatCannotBeMadeIsNamed) {
  Model model("m.gguf", "GGUF");
  Metadata& metadata = model.metadata();
  metadata.Set("general.architecture", "qwen2");
  const std::vector<std::string> tokens = {"a"};
  metadata.Set("tokenizer.ggml.tokens", MetadataValue::Strings(tokens));
  model.Set("token_embd.weight", Floats({1}));
  EXPECT_EQ(SaveModel(model, Path("model.safetensors"),
                      {.layout = NameLayout::kHuggingFace}),
            SaveNotes{"is without tokenizer.json, which cannot be made from "
                      "the tokenizer in 'm.gguf'; take it from where the model "
                      "came from"});
  metadata.Set("tokenizer.huggingface.json", "{}");
  EXPECT_EQ(SaveModel(model, Path("model.safetensors"),
                      {.layout = NameLayout::kHuggingFace}),
            SaveNotes{});
  EXPECT_EQ(Content("tokenizer.json"), "{}");
}

TEST_F(SaveTest, ASourceThatShrinksGivesNoFile) {
  Model model;
  model.Set("a", Floats(std::vector<float>(500'000, 3)));
  model.Set("b", Floats({1}));
  SaveModel(model, Path("m.safetensors"));
  const Model loaded = LoadModel(Path("m.safetensors"));
  const auto size = static_cast<int64_t>(fs::file_size(Path("m.safetensors")));
  // Within the last page nothing faults; further back the mapping does.
  for (int64_t left : {size - 1, int64_t{10'000}}) {
    fs::resize_file(Path("m.safetensors"), left);
    EXPECT_EQ(FailureOf([&] { SaveModel(loaded, Path("out.safetensors")); }),
              fmt::format("{}: shrank from {} to {} bytes while it was in use",
                          Path("m.safetensors"), size, left));
    EXPECT_EQ(Listing(), std::vector<std::string>{"m.safetensors"});
  }
}

TEST_F(SaveTest, KillAtAnyMomentLeavesAModelThatLoads) {
  Model small, large;
  small.Set("w", Floats({1}));
  large.Set("w", Floats(std::vector<float>(700'000, 2)));
  std::mt19937 random(11);
  for (int i = 0; i < 40; ++i) {
    SaveModel(small, Path("m.safetensors"));
    const pid_t child = fork();
    if (child == 0) {
      SaveModel(large, Path("m.safetensors"));
      _exit(0);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 10'000));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const int64_t elements = LoadModel(Path("m.safetensors")).Get("w").elements;
    ASSERT_TRUE(elements == 1 || elements == 700'000) << elements;
  }
}

}  // namespace
}  // namespace tl
