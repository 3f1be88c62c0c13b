/* One line per module: SUITE(module), whose tests are `<module>_tests`. */
