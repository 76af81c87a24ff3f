// Of many boxes with scores those that do not lie on a better one. Computed on
// the host: which box is looked at next depends on all before it.
#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/interrupt.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"

namespace tl::coreml {
namespace {

// A program is not to make us fill more places than this with nothing.
constexpr int64_t kMaxBoxes = 1 << 20;

struct Box {
  double left, top, right, bottom, area;
};

// From the middle and the size.
Box BoxAt(const double* numbers) {
  const double x = numbers[0], y = numbers[1];
  const double width = numbers[2], height = numbers[3];
  return {x - width / 2, y - height / 2, x + width / 2, y + height / 2,
          width * height};
}

// The share of both boxes that is common.
double Overlap(const Box& a, const Box& b) {
  const double width = std::min(a.right, b.right) - std::max(a.left, b.left);
  const double height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  const double common = std::max(width, 0.0) * std::max(height, 0.0);
  const double both = a.area + b.area - common;
  return both > 0 ? common / both : 0;
}

struct Candidates {
  std::vector<Box> boxes;
  std::vector<double> best;     // of a box's scores
  std::vector<size_t> classes;  // the one that has it
};

Candidates CandidatesIn(const double* boxes, const double* scores,
                        int64_t count, int64_t classes) {
  Candidates candidates;
  for (int64_t i = 0; i < count; ++i) {
    candidates.boxes.push_back(BoxAt(boxes + 4 * i));
    const double* row = scores + classes * i;
    const double* best = std::max_element(row, row + classes);
    candidates.best.push_back(*best);
    candidates.classes.push_back(static_cast<size_t>(best - row));
  }
  return candidates;
}

struct Suppression {
  double overlap;
  double score;
  bool per_class;
  int64_t most;
};

// The best boxes, best first; the best one even if its score is too low.
std::vector<int64_t> Selected(const Candidates& from,
                              const Suppression& limits) {
  std::vector<int64_t> order(from.boxes.size()), selected;
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return from.best[a] > from.best[b];
  });
  for (const int64_t i : order) {
    if (static_cast<int64_t>(selected.size()) == limits.most) break;
    if (!(from.best[i] >= limits.score)) continue;
    PollInterrupt();
    const bool covered = std::ranges::any_of(selected, [&](int64_t better) {
      const bool rivals =
          !limits.per_class || from.classes[i] == from.classes[better];
      return rivals &&
             Overlap(from.boxes[i], from.boxes[better]) > limits.overlap;
    });
    if (!covered) selected.push_back(i);
  }
  if (selected.empty() && !order.empty() && limits.most > 0) {
    selected.push_back(order[0]);
  }
  return selected;
}

// What is selected of all batches, with empty places behind it.
struct Selection {
  std::vector<double> boxes, scores;
  std::vector<int64_t> indices, counts;
};

void Append(Selection& selection, const std::vector<int64_t>& selected,
            const double* boxes, const double* scores, int64_t classes,
            int64_t most) {
  for (int64_t place = 0; place < most; ++place) {
    const bool taken = place < static_cast<int64_t>(selected.size());
    const int64_t i = taken ? selected[place] : -1;
    for (int64_t k = 0; k < 4; ++k) {
      selection.boxes.push_back(taken ? boxes[4 * i + k] : 0);
    }
    for (int64_t k = 0; k < classes; ++k) {
      selection.scores.push_back(taken ? scores[classes * i + k] : 0);
    }
    selection.indices.push_back(i);
  }
  selection.counts.push_back(static_cast<int64_t>(selected.size()));
}

// From iOS 17 on the boxes stand along the last axis, there is no bound of
// scores, and nobody counts what was selected.
MilResult NonMaximumSuppression(const MilCall& call) {
  Builder& lo = call.lo();
  Host& host = call.host();
  const bool old = call.Has("score_threshold");
  TensorRef boxes = call.Tensor("boxes"), scores = call.Tensor("scores");
  const auto turned = [&](const TensorRef& x) {
    return old || x->rank() != 3 ? x : SwapAxes(lo, x, 1, 2);
  };
  const Shape b = turned(boxes)->shape(), s = turned(scores)->shape();
  if (b.rank() != 3 || s.rank() != 3 || b.dim(0) != s.dim(0) ||
      b.dim(1) != s.dim(1) || b.dim(2) != 4 || s.dim(2) < 1) {
    Fail(ErrorKind::kInput, "boxes of shape {} with scores of shape {}",
         boxes->shape().ToString(), scores->shape().ToString());
  }
  Suppression limits;
  limits.overlap = call.Number("iou_threshold");
  limits.score = old ? call.Number("score_threshold")
                     : -std::numeric_limits<double>::infinity();
  limits.per_class = call.Flag("per_class_suppression", false);
  limits.most = call.Int("max_boxes");
  const int64_t batches = b.dim(0), count = b.dim(1), classes = s.dim(2);
  if (limits.most < 1 || limits.most > kMaxBoxes) {
    Fail(ErrorKind::kInput, "at most {} boxes are selected; expected 1 to {}",
         limits.most, kMaxBoxes);
  }
  const std::vector<double> places = ReadNumbers(host, turned(boxes)),
                            points = ReadNumbers(host, turned(scores));
  Selection all;
  for (int64_t batch = 0; batch < batches; ++batch) {
    const double* at = places.data() + 4 * count * batch;
    const double* score = points.data() + classes * count * batch;
    Append(all, Selected(CandidatesIn(at, score, count, classes), limits), at,
           score, classes, limits.most);
  }
  std::vector<TensorRef> results = {
      turned(Numbers(host, all.boxes, Shape{batches, limits.most, 4},
                     boxes->dtype())),
      turned(Numbers(host, all.scores, Shape{batches, limits.most, classes},
                     scores->dtype())),
      Ints(host, all.indices, Shape{batches, limits.most})};
  if (old) results.push_back(Ints(host, all.counts, Shape{batches}));
  return results;
}

constexpr MilOp kOps[] = {
    {"non_maximum_suppression", NonMaximumSuppression},
};

}  // namespace

std::span<const MilOp> BoxOps() { return kOps; }

}  // namespace tl::coreml
