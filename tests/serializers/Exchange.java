import io.apicurio.registry.serde.avro.AvroKafkaDeserializer;
import io.apicurio.registry.serde.avro.AvroKafkaSerializer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Apicurio's serializers for Java, which frame as Confluent's do.
 * Exchange REGISTRY BOOTSTRAP send|read NAME...: as exchange.py.
 */
public class Exchange {
	static final String SCHEDULE = "ri.scheduler.main.schedule.stale";

	static Map<String, Object> settings(String registry, String bootstrap) {
		return Map.of("bootstrap.servers", bootstrap,
			"group.id", UUID.randomUUID().toString(),
			"auto.offset.reset", "earliest",
			"isolation.level", "read_committed",
			"apicurio.registry.url", registry,
			"apicurio.registry.headers.enabled", false,
			"apicurio.registry.id-handler", "io.apicurio.registry.serde.Legacy4ByteIdHandler",
			"apicurio.registry.use-id", "contentId",
			"apicurio.registry.artifact-resolver-strategy",
			"io.apicurio.registry.serde.strategy.TopicIdStrategy",
			"apicurio.registry.find-latest", true);
	}

	static void send(Map<String, Object> settings, List<String> names) throws Exception {
		Schema schema = new Schema.Parser().parse(Files.readString(Path.of("schemas/run_request.avsc")));
		AvroKafkaSerializer<GenericRecord> values = new AvroKafkaSerializer<>();
		values.configure(settings, false);
		try (KafkaProducer<String, GenericRecord> producer =
			new KafkaProducer<>(settings, new StringSerializer(), values)) {
			for (String name : names) {
				GenericRecord request = new GenericData.Record(schema);
				request.put("requestId", name);
				request.put("scheduleRid", SCHEDULE);
				request.put("createdTime", System.currentTimeMillis());
				producer.send(new ProducerRecord<>("schedule-run-requests", SCHEDULE, request)).get();
			}
		}
	}

	static void read(Map<String, Object> settings, List<String> names) {
		AvroKafkaDeserializer<GenericRecord> values = new AvroKafkaDeserializer<>();
		values.configure(settings, false);
		Set<String> missing = new HashSet<>(names);
		StringBuilder out = new StringBuilder();
		try (KafkaConsumer<String, GenericRecord> consumer =
			new KafkaConsumer<>(settings, new StringDeserializer(), values)) {
			long deadline = System.currentTimeMillis() + 60_000;
			consumer.subscribe(List.of("schedule-run-results"));
			while (!missing.isEmpty() && System.currentTimeMillis() < deadline)
				consumer.poll(Duration.ofSeconds(1)).forEach(record -> {
					GenericRecord run = record.value();
					String name = run.get("requestId").toString();
					boolean submitted = ((GenericRecord) run.get("result")).getSchema().getField("buildRid") != null;

					missing.remove(name);
					out.append(out.length() > 0 ? ", " : "").append("\"" + name + "\": " + submitted);
				});
		}
		System.out.println("{" + out + "}");
	}

	public static void main(String[] words) throws Exception {
		Map<String, Object> settings = settings(words[0], words[1]);
		List<String> names = List.of(words).subList(3, words.length);

		if (words[2].equals("send"))
			send(settings, names);
		else
			read(settings, names);
	}
}
