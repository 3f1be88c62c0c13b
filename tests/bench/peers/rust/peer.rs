//! What one would write in Rust: Avro in, the schedule's version and a claim from
//! Redis, pipelined 1,000 deep, Avro out, exactly once in Kafka's transactions; one
//! batch is prepared while the one before is committed. It plans nothing: each
//! answer is "ignored".
//!
//! Usage: peer SCHEMAS BOOTSTRAP GROUP FROM TO REDIS-PORT; says "assigned
//! MICROSECONDS".

use std::collections::HashMap;
use std::sync::mpsc::{sync_channel, Receiver};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use apache_avro::types::{Record, Value};
use apache_avro::{from_avro_datum, to_avro_datum, Schema};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{
    BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata, Rebalance,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

const PIPELINE: usize = 1000;
const BATCH: usize = 10000;
const CLAIM_MS: u64 = 86_400_000;
const CALL: Duration = Duration::from_secs(60);
const FRAME: [u8; 5] = [0, 0, 0, 0, 2]; // before each result: its schema's id

type Error = Box<dyn std::error::Error>;

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

struct SayWhen;
impl ClientContext for SayWhen {}
impl ConsumerContext for SayWhen {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(_) = rebalance {
            println!("assigned {}", since_1970().as_micros());
        }
    }
}

struct Batch {
    answers: Vec<(Vec<u8>, Vec<u8>)>,
    next: TopicPartitionList,
    group: ConsumerGroupMetadata,
}

struct Peer {
    request: Schema,
    result: Schema,
    redis: redis::Connection,
}

fn commit_all(producer: BaseProducer, to: &str, given: Receiver<Batch>) -> Result<(), Error> {
    for batch in given {
        producer.begin_transaction()?;
        for (key, value) in &batch.answers {
            let mut record = BaseRecord::to(to).key(key).payload(value);
            while let Err((error, again)) = producer.send(record) {
                if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                    return Err(error.into());
                }
                producer.poll(Duration::from_millis(5));
                record = again;
            }
        }
        producer.send_offsets_to_transaction(&batch.next, &batch.group, CALL)?;
        producer.commit_transaction(CALL)?;
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    match value {
        Value::String(text) => text,
        Value::Union(_, inner) => text(inner),
        _ => "",
    }
}

fn place(record: &BorrowedMessage) -> String {
    format!("{}:{}", record.partition(), record.offset())
}

impl Peer {
    fn encode(&self, request: HashMap<String, Value>, head: &str) -> Result<Vec<u8>, Error> {
        let rid = text(&request["scheduleRid"]).to_string();
        let name = format!("{}\n{}", rid, text(&request["requestId"]));
        let run = Uuid::new_v5(&Uuid::nil(), name.as_bytes());
        let mut result = Record::new(&self.result).ok_or("no record")?;
        result.put("rid", format!("ri.scheduler.main.run.{run}"));
        let version = match &request["scheduleVersionRid"] {
            Value::Union(1, pinned) => (**pinned).clone(),
            _ => Value::String(head[2..].to_string()),
        };
        result.put("scheduleVersionRid", Value::Union(1, Box::new(version)));
        for (name, value) in request {
            if name != "runRid" && name != "scheduleVersionRid" {
                result.put(&name, value);
            }
        }
        let now = since_1970().as_millis() as i64;
        result.put("finishedTime", Value::TimestampMillis(now));
        result.put("result", Value::Union(0, Box::new(Value::Record(vec![]))));
        let mut why = vec![
            ("phase".to_string(), Value::Int(0)),
            ("cause".to_string(), Value::String("none".to_string())),
        ];
        for count in ["selected", "running", "upToDate", "blocked"] {
            why.push((count.to_string(), Value::Int(0)));
        }
        why.push(("lists".to_string(), Value::Map(HashMap::new())));
        result.put("why", Value::Record(why));
        let mut bytes = FRAME.to_vec();
        bytes.extend(to_avro_datum(&self.result, result)?);
        Ok(bytes)
    }

    fn answer(
        &mut self,
        records: &[BorrowedMessage],
        answers: &mut Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<(), Error> {
        let mut requests = Vec::with_capacity(records.len());
        let mut pipeline = redis::pipe();
        for record in records {
            let mut bytes = &record.payload().ok_or("no value")?[FRAME.len()..];
            let Value::Record(fields) = from_avro_datum(&self.request, &mut bytes, None)? else {
                return Err("no record".into());
            };
            let request: HashMap<String, Value> = fields.into_iter().collect();
            pipeline.hget("schedrun:s", text(&request["scheduleRid"]));
            pipeline
                .cmd("SET")
                .arg(format!("schedrun:{}", text(&request["requestId"])))
                .arg(place(record))
                .arg("NX")
                .arg("GET")
                .arg("PX")
                .arg(CLAIM_MS);
            requests.push(request);
        }
        let said: Vec<Option<String>> = pipeline.query(&mut self.redis)?;
        for ((record, request), said) in records.iter().zip(requests).zip(said.chunks(2)) {
            if said[1].is_none() || said[1] == Some(place(record)) {
                let head = said[0].as_deref().ok_or("no schedule")?;
                answers.push((
                    record.key().unwrap_or_default().to_vec(),
                    self.encode(request, head)?,
                ));
            }
        }
        Ok(())
    }

    fn prepare(&mut self, records: &[BorrowedMessage], from: &BaseConsumer<SayWhen>) -> Result<Batch, Error> {
        let mut next = TopicPartitionList::new();
        let mut ends = HashMap::new();
        let mut answers = Vec::with_capacity(records.len());
        for chunk in records.chunks(PIPELINE) {
            self.answer(chunk, &mut answers)?;
        }
        for record in records {
            ends.insert((record.topic(), record.partition()), record.offset() + 1);
        }
        for ((topic, partition), end) in ends {
            next.add_partition_offset(topic, partition, Offset::Offset(end))?;
        }
        let group = from.group_metadata().ok_or("no group")?;
        Ok(Batch { answers, next, group })
    }
}

/// What has come, up to a batch; it waits for the first only.
fn poll(from: &BaseConsumer<SayWhen>) -> Result<Vec<BorrowedMessage<'_>>, KafkaError> {
    let mut records = Vec::new();
    let until = Instant::now() + Duration::from_millis(100);
    while records.len() < BATCH && Instant::now() < until {
        let wait = if records.is_empty() { 100 } else { 0 };
        match from.poll(Duration::from_millis(wait)) {
            Some(record) => records.push(record?),
            None => break,
        }
    }
    Ok(records)
}

fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().collect();
    let [_, schemas, bootstrap, group, from, to, port] = &args[..] else {
        return Err("usage: peer SCHEMAS BOOTSTRAP GROUP FROM TO REDIS-PORT".into());
    };
    let schema = |name| -> Result<Schema, Error> {
        Ok(Schema::parse_str(&std::fs::read_to_string(format!("{schemas}/{name}"))?)?)
    };
    let mut peer = Peer {
        request: schema("run_request.avsc")?,
        result: schema("schedule_run.avsc")?,
        redis: redis::Client::open(format!("redis://127.0.0.1:{port}"))?.get_connection()?,
    };
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("transactional.id", group)
        .set("linger.ms", "5")
        .create()?;
    producer.init_transactions(CALL)?;
    let (give, given) = sync_channel::<Batch>(0);
    let to = to.clone();
    std::thread::spawn(move || {
        if let Err(error) = commit_all(producer, &to, given) {
            eprintln!("{error}");
            std::process::exit(1);
        }
    });
    let consumer: BaseConsumer<SayWhen> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("max.partition.fetch.bytes", "4194304")
        .create_with_context(SayWhen)?;
    consumer.subscribe(&[from])?;
    loop {
        let records = poll(&consumer)?;
        if !records.is_empty() {
            give.send(peer.prepare(&records, &consumer)?)?;
        }
    }
}
