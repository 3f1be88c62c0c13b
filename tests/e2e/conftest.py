"""One Kafka and Redis for the whole run; topics and keys of its own per test."""

import pytest

import campaign as campaign_module
import cluster as cluster_module
import programs


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    servers = cluster_module.Cluster(tmp_path_factory.mktemp("cluster")).start()
    yield servers
    servers.stop()


@pytest.fixture
def system(servers, tmp_path):
    """The programs on a Kafka and Redis of which nothing but this test is left."""
    servers.empty_redis()
    servers.redis().config_resetstat()
    system = programs.System(servers, tmp_path)
    yield system
    system.stop()
    if servers.kafka_process is None:
        servers.start_kafka()
    if servers.redis_process is None:
        servers.start_redis()
    system.delete_topics()


@pytest.fixture(scope="module")
def fresh_system(servers, tmp_path_factory, request):
    """For all tests of a file, on an empty store: the file says what is in it."""
    servers.empty_redis()
    system = programs.System(servers, tmp_path_factory.mktemp(request.module.__name__))
    yield system
    system.stop()
    system.delete_topics()


@pytest.fixture
def campaign(system):
    """Makes a campaign; its threads end with the test."""
    made = []

    def make(**settings):
        made.append(campaign_module.Campaign(system, **settings))
        return made[-1]

    make.made = made
    yield make
    for one in made:
        one.abandon()
