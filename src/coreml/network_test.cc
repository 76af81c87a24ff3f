// Networks that are wrong, or hostile: each ends in an error that says what and
// where. What right ones compute is tests/coreml_predict_test.py.
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "base/error.h"
#include "coreml/predictor.h"
#include "format/coreml_test_file.h"

namespace tl::coreml {
namespace {

// Reads numbers that are there, and computes none.
class TestHost final : public Host {
 public:
  Builder& builder() override { return builder_; }
  DType dtype() const override { return DType::F16; }
  // Every layer's weights are a table of 3 by 5000.
  TensorRef Weight(std::string_view) override { return Zeros({3, 5000}); }
  const Tensor& Evaluate(const TensorRef& tensor) override {
    const NodePtr node = AsNode(tensor);
    if (!node->has_value()) {
      Fail(ErrorKind::kInternal, "a tensor would be computed");
    }
    return node->value();
  }
  void MayRun() override {}

  TensorRef Zeros(const Shape& shape) {
    Tensor tensor = MakeTensor(DType::F16, shape);
    std::fill_n(tensor.as<uint16_t>(), tensor.size(), uint16_t{0});
    return builder_.Leaf(std::move(tensor));
  }

 private:
  Builder builder_;
};

using Lay = std::function<void(spec::NeuralNetwork&)>;

struct Case {
  spec::ArrayMapping mapping;
  std::vector<int64_t> described;
};
const Case kExact = {spec::EXACT_ARRAY_MAPPING, {2, 4, 6}};
const Case kOlder = {spec::RANK5_ARRAY_MAPPING, {2, 4, 6}};
const Case kVectors = {spec::RANK5_ARRAY_MAPPING, {6}};

// A layer at the end.
spec::Layer& Add(spec::NeuralNetwork& network, const std::string& output = "y",
                 std::vector<std::string> inputs = {"x"}) {
  spec::Layer& layer = *network.add_layers();
  layer.set_name(output);
  for (const std::string& input : inputs) layer.add_input(input);
  if (!output.empty()) layer.add_output(output);
  return layer;
}

// A layer of control flow, which has no output.
spec::Layer& Control(spec::NeuralNetwork& network,
                     std::vector<std::string> inputs = {}) {
  return Add(network, "", std::move(inputs));
}

class NetworkTest : public CoreMlTest {
 protected:
  // The shape of y, or the error, of a network over an x of this shape.
  std::string Built(const Case& how, const Shape& given, const Lay& lay) {
    spec::Model spec = TestNetwork();
    spec::ArrayType& array = *spec.mutable_description()
                                  ->mutable_input(0)
                                  ->mutable_type()
                                  ->mutable_multi_array_type();
    array.set_data_type(spec::ArrayType::FLOAT32);
    array.clear_shape();
    for (int64_t size : how.described) array.add_shape(size);
    spec.mutable_description()->add_output()->set_name("y");
    spec::NeuralNetwork& network = *spec.mutable_neural_network();
    network.set_array_input_shape_mapping(how.mapping);
    lay(network);
    try {
      const Model model = File(spec);
      TestHost host;
      const std::vector<NamedValue> results =
          Predictor::Open(model, host)->Predict({{"x", host.Zeros(given)}});
      return results[0].value.tensor->shape().ToString();
    } catch (const Error& error) {
      return error.text();
    }
  }

  std::string One(const Case& how,
                  const std::function<void(spec::Layer&)>& set) {
    return Built(how, {2, 4, 6},
                 [&](spec::NeuralNetwork& network) { set(Add(network)); });
  }
};

TEST_F(NetworkTest, NamesEveryKindThatIsMissingBeforeAnythingIsComputed) {
  EXPECT_EQ(Built(kExact, {2, 4, 6},
                  [&](spec::NeuralNetwork& network) {
                    Add(network, "a").mutable_split();  // wrong, not missing
                    spec::Loop& loop = *Control(network).mutable_loop();
                    loop.set_max_loop_iterations(2);
                    spec::NeuralNetwork& body = *loop.mutable_body_network();
                    Add(body, "b", {"a"}).mutable_custom();
                    Add(body, "c", {"a"});
                  }),
            "predict: layer 'b' (custom) does not run here, nor does 1 other "
            "kind: nothing");
}

TEST_F(NetworkTest, ReadsNoNameThatNothingMade) {
  EXPECT_EQ(Built(kExact, {2, 4, 6},
                  [&](spec::NeuralNetwork& network) {
                    Add(network, "a", {"y"}).mutable_copy();
                    Add(network, "y", {"a"}).mutable_copy();
                  }),
            "'y' is used before it is made");
}

TEST_F(NetworkTest, LetsGoOfNothingThatAnotherRoundReads) {
  const Lay lay = [&](spec::NeuralNetwork& network) {
    Add(network, "a").mutable_copy();
    spec::Loop& loop = *Control(network).mutable_loop();
    loop.set_max_loop_iterations(3);
    spec::NeuralNetwork& body = *loop.mutable_body_network();
    Add(body, "b", {"a"}).mutable_erf();
    Add(body, "c", {"b", "x"}).mutable_add_broadcastable();
    Add(body, "a", {"c"}).mutable_copy();
    Add(network, "y", {"a"}).mutable_copy();
  };
  EXPECT_EQ(Built(kExact, {2, 4, 6}, lay), "[2, 4, 6]");
}

TEST_F(NetworkTest, RefusesLoopsThatMakeNoSense) {
  const auto looped = [&](const std::function<void(spec::Loop&)>& set) {
    return Built(kExact, {2, 4, 6}, [&](spec::NeuralNetwork& network) {
      spec::Loop& loop = *Control(network).mutable_loop();
      Add(*loop.mutable_body_network(), "y").mutable_copy();
      set(loop);
    });
  };
  EXPECT_EQ(looped([&](spec::Loop&) {}),
            "a loop with neither a condition nor a number of rounds");
  EXPECT_EQ(looped([&](spec::Loop& loop) {
              loop.set_max_loop_iterations(1);
              loop.clear_body_network();
            }),
            "a loop without a body");
  EXPECT_EQ(looped([&](spec::Loop& loop) { loop.set_condition_var("go"); }),
            "a loop on 'go' without a condition network");
  EXPECT_EQ(looped([&](spec::Loop& loop) {
              Add(*loop.mutable_condition_network(), "go").mutable_copy();
            }),
            "a loop's condition network without a condition variable");
  EXPECT_EQ(looped([&](spec::Loop& loop) {
              loop.set_condition_var("go");
              Add(*loop.mutable_condition_network(), "went").mutable_copy();
            }),
            "nothing makes the condition 'go'");
  EXPECT_EQ(looped([&](spec::Loop& loop) {
              loop.set_condition_var("x");
              loop.mutable_condition_network();
            }),
            "a condition of 48 values; expected one");
  EXPECT_EQ(looped([&](spec::Loop& loop) { loop.set_max_loop_iterations(2); }),
            "[2, 4, 6]");
}

TEST_F(NetworkTest, RefusesControlFlowThatLeadsNowhere) {
  EXPECT_EQ(Built(kExact, {2, 4, 6},
                  [&](spec::NeuralNetwork& network) {
                    Control(network).mutable_loop_break();
                  }),
            "a loopBreak stands outside of a loop's body");
  EXPECT_EQ(Built(kExact, {2, 4, 6},
                  [&](spec::NeuralNetwork& network) {
                    Control(network, {"x"}).mutable_branch();
                  }),
            "a branch without a network for true");
  const Lay branch = [&](spec::NeuralNetwork& network) {
    Add(*Control(network, {"x", "x"}).mutable_branch()->mutable_if_branch())
        .mutable_copy();
  };
  EXPECT_EQ(Built(kExact, {2, 4, 6}, branch),
            "a branch with 2 inputs; expected one");
}

TEST_F(NetworkTest, RefusesSlicesOfNothing) {
  const auto sliced = [&](int64_t start, int64_t end, uint64_t stride) {
    return One(kOlder, [&](spec::Layer& layer) {
      layer.mutable_slice()->set_start_index(start);
      layer.mutable_slice()->set_end_index(end);
      layer.mutable_slice()->set_stride(stride);
      layer.mutable_slice()->set_axis(spec::Slice::HEIGHT_AXIS);
    });
  };
  EXPECT_EQ(sliced(1, -1, 1), "[1, 1, 2, 2, 6]");
  EXPECT_EQ(sliced(1, INT64_MAX, 2), "[1, 1, 2, 2, 6]");
  EXPECT_EQ(sliced(4, 5, 1),
            "a slice from 4 to 5 with stride 1 of axis 3 of shape "
            "[1, 1, 2, 4, 6]");
  EXPECT_EQ(sliced(-5, 2, 1),
            "a slice from -5 to 2 with stride 1 of axis 3 of shape "
            "[1, 1, 2, 4, 6]");
  EXPECT_EQ(sliced(0, 2, 0),
            "a slice from 0 to 2 with stride 0 of axis 3 of shape "
            "[1, 1, 2, 4, 6]");
  EXPECT_EQ(sliced(INT64_MIN, INT64_MIN, UINT64_MAX),
            "a slice from -9223372036854775808 to -9223372036854775808 with "
            "stride 18446744073709551615 of axis 3 of shape [1, 1, 2, 4, 6]");
}

TEST_F(NetworkTest, RefusesShapesThatDoNotFit) {
  EXPECT_EQ(
      One(kOlder,
          [&](spec::Layer& layer) { layer.mutable_split()->set_n_outputs(3); }),
      "axis 2 of shape [1, 1, 2, 4, 6] does not divide into 3");
  EXPECT_EQ(One(kOlder,
                [&](spec::Layer& layer) {
                  layer.mutable_reshape()->add_target_shape(48);
                }),
            "a target shape of 1 sizes; expected 3 or 4");
  EXPECT_EQ(
      One(kExact, [&](spec::Layer& layer) { layer.mutable_permute(); }),
      "shape [2, 4, 6] is not [sequence, batch, channels, height, width]");
  EXPECT_EQ(One(kOlder,
                [&](spec::Layer& layer) {
                  for (uint64_t axis : {0, 1, 2, 4}) {
                    layer.mutable_permute()->add_axis(axis);
                  }
                }),
            "axes [0, 1, 2, 4] do not order 4 axes");
  EXPECT_EQ(One(kOlder,
                [&](spec::Layer& layer) {
                  layer.mutable_reorganize_data()->set_block_size(1);
                }),
            "blocks of 1; expected 2 or more");
  EXPECT_EQ(One(kOlder,
                [&](spec::Layer& layer) {
                  layer.mutable_reorganize_data()->set_block_size(4);
                }),
            "a size of 6 does not divide into blocks of 4");
  EXPECT_EQ(One(kExact,
                [&](spec::Layer& layer) {
                  layer.mutable_layer_normalization()->add_normalized_shape(4);
                }),
            "a norm over axes of sizes [4] of shape [2, 4, 6]");
  EXPECT_EQ(One(kExact,
                [&](spec::Layer& layer) {
                  layer.mutable_reverse()->add_reverse_dim(true);
                }),
            "1 flags for shape [2, 4, 6]");
  EXPECT_EQ(One(kExact, [&](spec::Layer& layer) { layer.mutable_tile(); }),
            "0 numbers of copies for shape [2, 4, 6]");
  EXPECT_EQ(One(kExact,
                [&](spec::Layer& layer) {
                  layer.mutable_constant_pad()->add_pad_amounts(1);
                }),
            "1 paddings for a tensor of shape [2, 4, 6]");
  EXPECT_EQ(One(kExact,
                [&](spec::Layer& layer) {
                  layer.mutable_rank_preserving_reshape()->add_target_shape(-1);
                }),
            "a target shape of 1 sizes for shape [2, 4, 6]");
}

TEST_F(NetworkTest, RefusesCropsToWhatIsNotThere) {
  const auto cropped = [&](uint64_t row) {
    return Built(kOlder, {2, 4, 6}, [&](spec::NeuralNetwork& network) {
      spec::Slice& slice = *Add(network, "part").mutable_slice();
      slice.set_end_index(3);
      slice.set_stride(1);
      slice.set_axis(spec::Slice::HEIGHT_AXIS);
      spec::Crop& crop = *Add(network, "y", {"x", "part"}).mutable_crop();
      crop.add_offset(row);
      crop.add_offset(0);
    });
  };
  EXPECT_EQ(cropped(1), "[1, 1, 2, 3, 6]");
  EXPECT_EQ(cropped(2), "3 elements from 2 of axis 3 of shape [1, 1, 2, 4, 6]");
  EXPECT_EQ(cropped(uint64_t{1} << 63),
            "3 elements from -9223372036854775808 of axis 3 of shape "
            "[1, 1, 2, 4, 6]");
}

TEST_F(NetworkTest, RefusesSizesThatNothingHas) {
  EXPECT_EQ(One(kOlder,
                [&](spec::Layer& layer) {
                  spec::ResizeBilinear& resize =
                      *layer.mutable_resize_bilinear();
                  resize.add_target_size(INT64_MAX);
                  resize.add_target_size(1);
                }),
            "a tensor of shape [1, 2, 4611686018427387904, 1] has more than "
            "2^62 elements");
  EXPECT_EQ(One(kOlder,
                [&](spec::Layer& layer) {
                  spec::Pooling& pool = *layer.mutable_pooling();
                  pool.mutable_same();
                  pool.add_kernel_size(uint64_t{1} << 63);
                  pool.add_kernel_size(2);
                }),
            "a window of [-9223372036854775808, 2]");
  EXPECT_EQ(One(kOlder,
                [&](spec::Layer& layer) {
                  spec::Pooling3d& pool = *layer.mutable_pooling_3d();
                  pool.set_kernel_depth(-1);
                  pool.set_padding_type(spec::Pooling3d::SAME);
                }),
            "a window of [-1, 0, 0]");
}

TEST_F(NetworkTest, DrawsNumbersOfAnyShape) {
  EXPECT_EQ(One(kExact,
                [&](spec::Layer& layer) {
                  layer.mutable_random_normal_like()->set_seed(3);
                }),
            "[2, 4, 6]");
  EXPECT_EQ(One(kExact,
                [&](spec::Layer& layer) {
                  layer.mutable_random_uniform_static()->add_output_shape(7);
                }),
            "[7]");
  const auto shaped = [&](const std::function<void(spec::Layer&)>& set) {
    return Built(kExact, {2, 4, 6}, [&](spec::NeuralNetwork& network) {
      Add(network, "size").mutable_get_shape();
      set(Add(network, "y", {"size"}));
    });
  };
  EXPECT_EQ(shaped([&](spec::Layer& layer) {
              layer.mutable_random_bernoulli_dynamic()->set_prob(0.5);
            }),
            "[2, 4, 6]");
  EXPECT_EQ(shaped([&](spec::Layer& layer) {
              layer.mutable_random_bernoulli_dynamic()->set_prob(2);
            }),
            "a probability of 2");
  const auto drawn = [&](bool logits) {
    return One(kExact, [&](spec::Layer& layer) {
      spec::CategoricalDistribution& classes =
          *layer.mutable_categorical_distribution();
      classes.set_num_samples(9);
      classes.set_is_logits(logits);
      classes.set_temperature(2);
    });
  };
  EXPECT_EQ(drawn(true), "[2, 4, 9]");
  EXPECT_EQ(drawn(false),
            "probabilities with a temperature of 2 do not run here; logits do");
}

TEST_F(NetworkTest, RefusesNumbersThatAreNoChoice) {
  EXPECT_EQ(One(kOlder,
                [&](spec::Layer& layer) {
                  layer.mutable_reduce()->set_mode(spec::Reduce::ARGMAX);
                }),
            "an argmax over 3 axes; expected one");
  EXPECT_EQ(One(kOlder,
                [&](spec::Layer& layer) {
                  layer.mutable_reduce()->set_mode(
                      static_cast<spec::Reduce::Operation>(77));
                }),
            "a reduction of number 77");
  EXPECT_EQ(One(kExact,
                [&](spec::Layer& layer) {
                  layer.mutable_range_static()->set_end_value(3);
                }),
            "a range with step 0");
}

TEST_F(NetworkTest, RefusesIdsThatItsNumbersCannotHold) {
  EXPECT_EQ(Built(kVectors, {4, 1, 6},
                  [&](spec::NeuralNetwork& network) {
                    Add(network).mutable_embedding();
                  }),
            "axis 2 of shape [4, 1, 6, 1, 1] is squeezed; it is not 1");
  const Case ids = {spec::EXACT_ARRAY_MAPPING, {4, 1}};
  EXPECT_EQ(
      Built(ids, {4, 1},
            [&](spec::NeuralNetwork& network) {
              spec::EmbeddingNd& layer = *Add(network).mutable_embedding_nd();
              layer.set_vocab_size(5000);
              layer.set_embedding_size(3);
              layer.mutable_weights()->mutable_float_value()->Resize(15000, 0);
            }),
      "ids up to 4999 are not exact in float16; load the model with "
      "dtype: float32");
}

TEST_F(NetworkTest, TakesSequencesOfWhatIsDescribed) {
  const Lay copy = [&](spec::NeuralNetwork& network) {
    Add(network).mutable_erf();
  };
  EXPECT_EQ(Built(kVectors, {6}, copy), "[1, 1, 6, 1, 1]");
  EXPECT_EQ(Built(kVectors, {3, 2, 6}, copy), "[3, 2, 6, 1, 1]");
  EXPECT_EQ(Built(kVectors, {3, 2, 6, 1, 1}, copy), "[3, 2, 6, 1, 1]");
  EXPECT_EQ(Built(kOlder, {3, 1, 2, 4, 6}, copy), "[3, 1, 2, 4, 6]");
  EXPECT_EQ(Built(kVectors, {3, 2, 6, 1, 2}, copy),
            "predict: input 'x' has shape [3, 2, 6, 1, 2]; the model takes "
            "float32 [6]");
  EXPECT_EQ(Built(kOlder, {3, 1, 2, 6, 4}, copy),
            "predict: input 'x' has shape [3, 1, 2, 6, 4]; the model takes "
            "float32 [2, 4, 6]");
  EXPECT_EQ(Built(kExact, {1, 1, 2, 4, 6}, copy),
            "predict: input 'x' has shape [1, 1, 2, 4, 6]; the model takes "
            "float32 [2, 4, 6]");
}

}  // namespace
}  // namespace tl::coreml
