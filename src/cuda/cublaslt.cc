#include "cuda/cublaslt.h"

#include "cuda/dense_product.h"

#ifdef TL_CUDA_EMULATED

namespace tl::cuda {

const std::string& WhyNoCublasLt() {
  static const std::string why = "the card is emulated";
  return why;
}
void UseCublasLt(bool) {}
bool MultiplyWithCublasLt(const DenseProduct&) { return false; }

}  // namespace tl::cuda

#else

#include <cublasLt.h>
#include <dlfcn.h>
#include <glob.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cuda/runtime.h"

namespace tl::cuda {
namespace {

// Every function of the library that is called here.
#define TL_CUBLASLT_FUNCTIONS(F)  \
  F(cublasLtCreate)               \
  F(cublasLtGetStatusString)      \
  F(cublasLtMatmul)               \
  F(cublasLtMatmulAlgoGetHeuristic) \
  F(cublasLtMatmulDescCreate)     \
  F(cublasLtMatmulDescDestroy)    \
  F(cublasLtMatmulDescSetAttribute) \
  F(cublasLtMatmulPreferenceCreate) \
  F(cublasLtMatmulPreferenceDestroy) \
  F(cublasLtMatmulPreferenceSetAttribute) \
  F(cublasLtMatrixLayoutCreate)   \
  F(cublasLtMatrixLayoutDestroy)  \
  F(cublasLtMatrixLayoutSetAttribute)

constexpr const char* kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
constexpr int64_t kWorkspaceBytes = int64_t{32} << 20;
// Prompts have many lengths: more plans than this are not worth keeping.
constexpr size_t kMostPlans = 4096;

// Folders that match: of the toolkit, and of the packages that PyTorch brings.
std::vector<std::string> Folders() {
  std::vector<std::string> folders;
  if (const char* given = std::getenv("TL_CUDA_LIBS")) folders.push_back(given);
  std::vector<std::string> patterns = {"/usr/local/cuda/lib64",
                                       "/opt/cuda/lib64",
                                       "",  // the loader's own
                                       "/usr/local/cuda-1[23]*/lib64"};
  std::vector<std::string> prefixes = {"/usr/local", "/usr", "/opt/conda"};
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const char* prefix = std::getenv(name)) prefixes.push_back(prefix);
  }
  if (const char* home = std::getenv("HOME")) {
    prefixes.push_back(std::string(home) + "/.local");
  }
  for (const std::string& prefix : prefixes) {
    for (const char* packages : {"site-packages", "dist-packages"}) {
      patterns.push_back(prefix + "/lib/python3*/" + packages +
                         "/nvidia/*/lib");
    }
  }
  for (const std::string& pattern : patterns) {
    glob_t found = {};
    if (pattern.empty()) {
      folders.push_back("");
    } else if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
      folders.insert(folders.end(), found.gl_pathv,
                     found.gl_pathv + found.gl_pathc);
    }
    if (!pattern.empty()) globfree(&found);
  }
  return folders;
}

struct Library {
#define TL_MEMBER(name) decltype(&::name) name = nullptr;
  TL_CUBLASLT_FUNCTIONS(TL_MEMBER)
#undef TL_MEMBER
  cublasLtHandle_t handle = nullptr;
  std::shared_ptr<std::byte> workspace;
  std::string why;  // it cannot be used

  void Check(cublasStatus_t status, const char* what) const {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    Fail(ErrorKind::kInternal, "GPU: cuBLASLt: {}: {}", what,
         cublasLtGetStatusString(status));
  }
};

void* OpenLibrary() {
  for (const std::string& folder : Folders()) {
    for (const char* name : kNames) {
      const std::string path = folder.empty() ? name : folder + "/" + name;
      if (void* opened = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
        return opened;
      }
    }
  }
  return nullptr;
}

Library Open() {
  Library library;
  void* opened = OpenLibrary();
  if (opened == nullptr) {
    library.why = fmt::format("no {} or {} (TL_CUDA_LIBS can say where it is)",
                              kNames[0], kNames[1]);
    return library;
  }
#define TL_FIND(name)                                              \
  library.name =                                                   \
      reinterpret_cast<decltype(&::name)>(dlsym(opened, #name));   \
  if (library.name == nullptr) library.why = "it has no " #name;
  TL_CUBLASLT_FUNCTIONS(TL_FIND)
#undef TL_FIND
  if (!library.why.empty()) return library;
  Card();
  const cublasStatus_t status = library.cublasLtCreate(&library.handle);
  if (status != CUBLAS_STATUS_SUCCESS) {
    library.why = fmt::format("cublasLtCreate: {}",
                              library.cublasLtGetStatusString(status));
    return library;
  }
  library.workspace = Allocate(kWorkspaceBytes);
  return library;
}

const Library& TheLibrary() {
  static const Library& library = *new Library(Open());
  return library;
}

// What the library calls A and B, column-major: our rows are its columns.
struct Layout {
  int64_t rows, columns, stride, batch_stride;
};

// [outer, inner] of ours, inner along the rows.
Layout LayoutOf(const DenseMatrix& matrix, int64_t rows, int64_t columns) {
  return matrix.transposed
             ? Layout{rows, columns, matrix.stride, matrix.batch_stride}
             : Layout{columns, rows, matrix.stride, matrix.batch_stride};
}

// The largest power of two that divides an address, up to 256.
uint32_t AlignmentOf(const void* data) {
  constexpr uintptr_t kMost = 256;
  return 1u << std::countr_zero(reinterpret_cast<uintptr_t>(data) | kMost);
}

cudaDataType_t TypeOf(DType dtype) {
  return dtype == DType::F16 ? CUDA_R_16F : CUDA_R_32F;
}

// Descriptors and the way that the library would compute it.
class Plan {
 public:
  Plan(const Library& library, const DenseProduct& p)
      : library_(library),
        w_(Make(LayoutOf(p.w, p.k, p.n), p.in, p.batch)),
        x_(Make(LayoutOf(p.x, p.m, p.k), p.in, p.batch)),
        y_(Make({p.n, p.m, p.y_row, p.y_batch}, p.out, p.batch)) {
    library_.Check(library_.cublasLtMatmulDescCreate(
                       &operation_, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                   "a product");
    Set(CUBLASLT_MATMUL_DESC_TRANSA, p.w.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    Set(CUBLASLT_MATMUL_DESC_TRANSB, p.x.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (p.bias != nullptr) {
      Set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
      Set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
      Set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, TypeOf(p.out));
    }
    Find(p);
  }
  ~Plan() {
    library_.cublasLtMatrixLayoutDestroy(w_);
    library_.cublasLtMatrixLayoutDestroy(x_);
    library_.cublasLtMatrixLayoutDestroy(y_);
    library_.cublasLtMatmulDescDestroy(operation_);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  // False where the library has no way.
  bool Run(const DenseProduct& p) {
    if (!found_) return false;
    const float one = 1, zero = 0;
    if (p.bias != nullptr) Set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
    library_.Check(
        library_.cublasLtMatmul(
            library_.handle, operation_, &one, p.w.data, w_, p.x.data, x_, &zero,
            p.y, y_, p.y, y_, &way_.algo, library_.workspace.get(),
            kWorkspaceBytes, static_cast<cudaStream_t>(StreamHandle())),
        "a product");
    return true;
  }

 private:
  cublasLtMatrixLayout_t Make(const Layout& from, DType dtype,
                              int64_t batch) const {
    cublasLtMatrixLayout_t layout;
    library_.Check(library_.cublasLtMatrixLayoutCreate(
                       &layout, TypeOf(dtype), static_cast<uint64_t>(from.rows),
                       static_cast<uint64_t>(from.columns), from.stride),
                   "a matrix");
    const auto set = [&](cublasLtMatrixLayoutAttribute_t attribute, auto value) {
      library_.Check(library_.cublasLtMatrixLayoutSetAttribute(
                         layout, attribute, &value, sizeof(value)),
                     "a matrix of a batch");
    };
    if (batch > 1) {
      set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<int32_t>(batch));
      set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, from.batch_stride);
    }
    return layout;
  }

  template <class T>
  void Set(cublasLtMatmulDescAttributes_t attribute, T value) {
    library_.Check(library_.cublasLtMatmulDescSetAttribute(
                       operation_, attribute, &value, sizeof(value)),
                   "a product");
  }

  void Find(const DenseProduct& p) {
    cublasLtMatmulPreference_t preference;
    library_.Check(library_.cublasLtMatmulPreferenceCreate(&preference),
                   "a preference");
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute,
                         auto value) {
      library_.Check(library_.cublasLtMatmulPreferenceSetAttribute(
                         preference, attribute, &value, sizeof(value)),
                     "a preference");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
        static_cast<uint64_t>(kWorkspaceBytes));
    // Sums in parts are added up in f32.
    set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, AlignmentOf(p.w.data));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, AlignmentOf(p.x.data));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, AlignmentOf(p.y));
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, AlignmentOf(p.y));
    int count = 0;
    const cublasStatus_t status = library_.cublasLtMatmulAlgoGetHeuristic(
        library_.handle, operation_, w_, x_, y_, y_, preference, 1, &way_,
        &count);
    found_ = status == CUBLAS_STATUS_SUCCESS && count > 0 &&
             way_.state == CUBLAS_STATUS_SUCCESS;
    library_.cublasLtMatmulPreferenceDestroy(preference);
  }

  const Library& library_;
  cublasLtMatrixLayout_t w_, x_, y_;
  cublasLtMatmulDesc_t operation_ = nullptr;
  cublasLtMatmulHeuristicResult_t way_ = {};
  bool found_ = false;
};

// Everything that a plan depends on.
using Key = std::array<int64_t, 18>;

Key KeyOf(const DenseProduct& p) {
  return {int64_t(p.in),      int64_t(p.out),         p.batch,
          p.m,                p.k,                    p.n,
          p.x.stride,         p.x.batch_stride,       p.x.transposed,
          p.w.stride,         p.w.batch_stride,       p.w.transposed,
          p.y_row,            p.y_batch,              p.bias != nullptr,
          AlignmentOf(p.x.data), AlignmentOf(p.w.data), AlignmentOf(p.y)};
}

bool wanted = true;

}  // namespace

const std::string& WhyNoCublasLt() { return TheLibrary().why; }

void UseCublasLt(bool use) { wanted = use; }

bool MultiplyWithCublasLt(const DenseProduct& product) {
  static auto& plans = *new std::map<Key, std::unique_ptr<Plan>>;
  // The library counts products of a batch in 32 bits.
  if (!wanted || product.batch > INT32_MAX || product.x.batch_stride < 0 ||
      product.w.batch_stride < 0) {
    return false;
  }
  const Library& library = TheLibrary();
  if (!library.why.empty()) return false;
  if (plans.size() >= kMostPlans) plans.clear();
  std::unique_ptr<Plan>& plan = plans[KeyOf(product)];
  if (plan == nullptr) plan = std::make_unique<Plan>(library, product);
  return plan->Run(product);
}

}  // namespace tl::cuda

#endif
