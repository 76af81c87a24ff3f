// cuBLASLt, where the machine has it: looked for when the first product wants it,
// so that programs start without its hundreds of megabytes and run where it is
// missing. MultiplyWithCublasLt is in dense_product.h.
#pragma once

#include <string>

namespace tl::cuda {

// Why products are not its: no such library, or it cannot be used. Empty where
// they are.
const std::string& WhyNoCublasLt();

// For tests of what is done without it.
void UseCublasLt(bool use);

}  // namespace tl::cuda
