// Whether this is built with AddressSanitizer: GCC says so by a macro, Clang by a feature.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define TL_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TL_ADDRESS_SANITIZER
#endif
#endif
