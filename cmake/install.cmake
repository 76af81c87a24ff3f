include(GNUInstallDirs)
install(TARGETS tl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# `cpack -G DEB` in the build folder.
set(CPACK_PACKAGE_NAME tensorlogic)
set(CPACK_PACKAGE_VENDOR "TensorLogic contributors")
set(CPACK_PACKAGE_CONTACT "TensorLogic contributors <contributors@tensorlogic.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY
    "small language for people with model files, and the program that runs it")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
include(CPack)
