include(GNUInstallDirs)

# `import std.NAME` looks for share/tensorlogic/std beside bin/tl
# (interp/disk_files.cc).
set(TL_DATA_DIR ${CMAKE_INSTALL_DATADIR}/tensorlogic)

install(TARGETS tl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES docs/tl.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES completions/tl.bash RENAME tl
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES completions/tl.zsh RENAME _tl
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES completions/tl.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(DIRECTORY std DESTINATION ${TL_DATA_DIR})
install(DIRECTORY editors DESTINATION ${TL_DATA_DIR})
install(DIRECTORY examples models DESTINATION ${CMAKE_INSTALL_DOCDIR}
        PATTERN "*.expected" EXCLUDE PATTERN "*.py" EXCLUDE)
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES LICENSE RENAME copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs
        FILES_MATCHING PATTERN "*.md")

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
