// Package kafka is the log on Apache Kafka, through kafka-go's Client. Its Reader, Writer and ConsumerGroup are not used: they skip, batch
// and retry by rules of their own.
//
//   - An append is one Produce request with acks=all, never tried again here. Every error means an unknown outcome to the caller; Error.Class
//     says what the broker said, for logs and for back-off.
//   - Commits carry a producer id per partition, the term as epoch and the records of the term as sequence (Options.Fencing), so that a broker
//     refuses older terms and drops repeats. That is help, not truth: the log's own fence decides.
//   - Reads are Fetch requests; offsets below the wanted one, which come with a batch's beginning, are left out. A read below the log's start is
//     a *domain.TruncatedError, one beyond its end waits.
//   - Open verifies the topics and refuses settings that can lose what was acknowledged.
//
// What answers to Produce mean (tested on 4.4.0 and 3.9.2, three brokers):
//
//	answer                                              | class     | the batch
//	----------------------------------------------------|-----------|------------------------------------------------------------
//	no answer: time-out, reset, refused, no leader known | Unknown   | may be there, may still come
//	base offset 0 or more, with an error                 | Unknown   | was appended at the leader; its fate is open
//	[-1], [7], [20]                                      | Unknown   | the same
//	[45] sequence out of order, [46], [59]               | Sequence  | this attempt appended nothing: read, then go on or claim
//	[47] old epoch, [90]                                 | Deposed   | this attempt appended nothing: read and step down
//	[2], [10], [18], [32], [42], [43], [76], [87]        | Content   | this attempt appended nothing, nor will another one
//	any other error, base offset -1                      | NotWritten| this attempt appended nothing
//
// "This attempt" is all that an answer speaks of: an earlier attempt with the same batch may still come. kafka-go and Kafka's test double answer
// errors with base offset 0, which counts as Unknown.
package kafka
