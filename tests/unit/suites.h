/* One line per module: SUITE(module), whose tests are `<module>_tests`. */
SUITE(clock)
SUITE(http_head)
SUITE(http_path)
SUITE(http_profile)
SUITE(digest)
SUITE(rid)
SUITE(strict_json)
