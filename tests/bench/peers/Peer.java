import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.SynchronousQueue;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.Pipeline;
import redis.clients.jedis.Response;
import redis.clients.jedis.params.SetParams;

/**
 * What one would write in Java: Avro in, the schedule's version and a claim from
 * Redis, pipelined 1,000 deep, Avro out, exactly once in Kafka's transactions; one
 * batch is prepared while the one before is committed. It plans nothing: each
 * answer is "ignored".
 *
 * <p>Usage: Peer SCHEMAS BOOTSTRAP GROUP FROM TO REDIS-PORT; says "assigned
 * MICROSECONDS".
 */
public final class Peer {
    private static final int PIPELINE = 1000;
    private static final int BATCH = 10000;
    private static final int FRAME = 5;
    private static final byte RESULT_ID = 2;
    private static final SetParams CLAIM = SetParams.setParams().nx().px(86400000);

    /** Answers by their keys, and where the next batch begins. */
    private record Batch(List<ProducerRecord<byte[], byte[]>> answers,
            Map<TopicPartition, OffsetAndMetadata> next, ConsumerGroupMetadata group) {}

    private final Schema requestSchema;
    private final Schema resultSchema;
    private final GenericRecord ignored;
    private final GenericRecord why;
    private final GenericDatumReader<GenericRecord> reader;
    private final GenericDatumWriter<GenericRecord> writer;
    private final String to;
    private final Jedis redis;
    private final SynchronousQueue<Batch> given = new SynchronousQueue<>();
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(1024);
    private BinaryDecoder decoder;
    private BinaryEncoder encoder;
    private GenericRecord result;

    private Peer(String schemas, String to, int redisPort) throws IOException {
        requestSchema = new Schema.Parser().parse(new File(schemas, "run_request.avsc"));
        resultSchema = new Schema.Parser().parse(new File(schemas, "schedule_run.avsc"));
        reader = new GenericDatumReader<>(requestSchema);
        writer = new GenericDatumWriter<>(resultSchema);
        ignored = new GenericData.Record(resultSchema.getField("result").schema().getTypes().get(0));
        why = new GenericData.Record(resultSchema.getField("why").schema());
        for (Schema.Field field : why.getSchema().getFields()) {
            why.put(field.pos(), field.hasDefaultValue()
                    ? GenericData.get().getDefaultValue(field) : field.name().equals("phase") ? 0 : "none");
        }
        result = new GenericData.Record(resultSchema);
        this.to = to;
        redis = new Jedis("127.0.0.1", redisPort);
    }

    public static void main(String[] args) throws Exception {
        Peer peer = new Peer(args[0], args[4], Integer.parseInt(args[5]));
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(Map.of(
                "bootstrap.servers", args[1], "transactional.id", args[2], "linger.ms", "5",
                "batch.size", "262144", "buffer.memory", "67108864"),
                new ByteArraySerializer(), new ByteArraySerializer());
        producer.initTransactions();
        Thread committer = new Thread(() -> peer.commitAll(producer));
        committer.setDaemon(true);
        committer.start();
        KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(Map.of(
                "bootstrap.servers", args[1], "group.id", args[2],
                "isolation.level", "read_committed", "enable.auto.commit", "false",
                "auto.offset.reset", "earliest", "max.poll.records", String.valueOf(BATCH),
                "fetch.min.bytes", "1", "max.partition.fetch.bytes", "4194304"),
                new ByteArrayDeserializer(), new ByteArrayDeserializer());
        consumer.subscribe(List.of(args[3]), new SayWhen());
        while (true) {
            ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(100));
            if (!records.isEmpty()) {
                peer.given.put(peer.answer(records, consumer.groupMetadata()));
            }
        }
    }

    private static final class SayWhen implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            System.out.println("assigned " + ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now()));
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}
    }

    private void commitAll(KafkaProducer<byte[], byte[]> producer) {
        try {
            while (true) {
                Batch batch = given.take();
                producer.beginTransaction();
                for (ProducerRecord<byte[], byte[]> answer : batch.answers) {
                    producer.send(answer);
                }
                producer.sendOffsetsToTransaction(batch.next, batch.group);
                producer.commitTransaction();
            }
        } catch (Exception e) {
            e.printStackTrace();
            System.exit(1);
        }
    }

    private Batch answer(ConsumerRecords<byte[], byte[]> records, ConsumerGroupMetadata group)
            throws IOException {
        List<ProducerRecord<byte[], byte[]>> answers = new ArrayList<>(records.count());
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
        List<ConsumerRecord<byte[], byte[]>> chunk = new ArrayList<>(PIPELINE);
        for (ConsumerRecord<byte[], byte[]> record : records) {
            chunk.add(record);
            if (chunk.size() == PIPELINE) {
                answerChunk(chunk, answers);
                chunk.clear();
            }
        }
        answerChunk(chunk, answers);
        for (TopicPartition partition : records.partitions()) {
            List<ConsumerRecord<byte[], byte[]>> of = records.records(partition);
            next.put(partition, new OffsetAndMetadata(of.get(of.size() - 1).offset() + 1));
        }
        return new Batch(answers, next, group);
    }

    private void answerChunk(List<ConsumerRecord<byte[], byte[]>> chunk,
            List<ProducerRecord<byte[], byte[]>> answers) throws IOException {
        List<GenericRecord> requests = new ArrayList<>(chunk.size());
        List<Response<String>> heads = new ArrayList<>(chunk.size());
        List<Response<String>> claims = new ArrayList<>(chunk.size());
        Pipeline pipeline = redis.pipelined();
        for (ConsumerRecord<byte[], byte[]> record : chunk) {
            byte[] value = record.value();
            decoder = DecoderFactory.get().binaryDecoder(value, FRAME, value.length - FRAME, decoder);
            GenericRecord request = reader.read(null, decoder);
            requests.add(request);
            heads.add(pipeline.hget("schedrun:s", request.get("scheduleRid").toString()));
            claims.add(pipeline.setGet("schedrun:" + request.get("requestId"), place(record), CLAIM));
        }
        pipeline.sync();
        for (int i = 0; i < chunk.size(); i++) {
            String holder = claims.get(i).get();
            if (holder == null || holder.equals(place(chunk.get(i)))) {
                answers.add(new ProducerRecord<>(to, chunk.get(i).key(),
                        encode(requests.get(i), heads.get(i).get())));
            }
        }
    }

    private static String place(ConsumerRecord<byte[], byte[]> record) {
        return record.partition() + ":" + record.offset();
    }

    private byte[] encode(GenericRecord request, String head) throws IOException {
        String name = request.get("scheduleRid") + "\n" + request.get("requestId");
        Object pinned = request.get("scheduleVersionRid");
        result.put("rid", "ri.scheduler.main.run." + UUID.nameUUIDFromBytes(name.getBytes()));
        for (String field : List.of("requestId", "scheduleRid", "createdTime", "createdBy", "trigger")) {
            result.put(field, request.get(field));
        }
        result.put("scheduleVersionRid", pinned != null ? pinned : head.substring(2));
        result.put("finishedTime", System.currentTimeMillis());
        result.put("result", ignored);
        result.put("why", why);
        bytes.reset();
        bytes.write(ByteBuffer.allocate(FRAME).put(4, RESULT_ID).array());
        encoder = EncoderFactory.get().binaryEncoder(bytes, encoder);
        writer.write(result, encoder);
        encoder.flush();
        return bytes.toByteArray();
    }
}
