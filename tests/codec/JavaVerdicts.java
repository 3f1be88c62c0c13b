import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;

import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.util.Utf8;

/**
 * What Apache Avro for Java says of the records of a corpus: the same lines in,
 * the same answers out as build/verdict.  Those for the corpus of verdicts.py
 * are kept in java-verdicts.txt, because the tests bring no Java compiler:
 *
 *     tests/codec/verdicts.py --dump corpus.tsv
 *     java -Dorg.apache.avro.limits.collectionItems.maxLength=100000 \
 *         -cp avro-1.12.0.jar:... tests/codec/JavaVerdicts.java \
 *         schemas/run_request.avsc <corpus.tsv >tests/codec/java-verdicts.txt
 *
 * and in the same way for any other seed and number of cases.
 */
public class JavaVerdicts {
    static final String[] FIELDS = {"requestId", "runRid", "scheduleRid",
        "scheduleVersionRid", "createdTime", "createdBy", "trigger"};

    static String show(Object value) {
        if (value == null)
            return "-";
        if (value instanceof Number)
            return value.toString();
        byte[] bytes;
        if (value instanceof Utf8 utf8)
            bytes = java.util.Arrays.copyOf(utf8.getBytes(), utf8.getByteLength());
        else if (value instanceof ByteBuffer buffer)
            bytes = buffer.array();
        else
            bytes = value.toString().getBytes(java.nio.charset.StandardCharsets.UTF_8);
        return bytes.length == 0 ? "\"\"" : HexFormat.of().formatHex(bytes);
    }

    static String verdict(String kind, String schema, String hex, Schema ours) {
        try {
            Schema writer = new Schema.Parser().parse(schema);
            Schema reader = kind.equals("request") ? ours : writer;
            BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(
                HexFormat.of().parseHex(hex), null);
            GenericRecord record = new GenericDatumReader<GenericRecord>(writer, reader)
                .read(null, decoder);
            if (!decoder.isEnd())
                return "trailing-bytes";
            if (!kind.equals("request"))
                return "ok";
            StringBuilder out = new StringBuilder("ok");
            for (String field : FIELDS)
                out.append(' ').append(show(record.get(field)));
            return out.toString();
        } catch (Throwable error) {
            return error.getClass().getSimpleName();
        }
    }

    public static void main(String[] args) throws Exception {
        Schema ours = new Schema.Parser().parse(Files.readString(Path.of(args[0])));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;) {
            String[] columns = line.split("\t", -1);
            System.out.println(verdict(columns[0], columns[1], columns[2], ours));
        }
    }
}
