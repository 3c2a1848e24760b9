// Package kafka is the log on Apache Kafka, through kafka-go's Client. Its Reader, Writer and ConsumerGroup are not used: they skip, batch
// and retry by rules of their own.
//
//   - An append is one Produce request with acks=all, never tried again here. Every error means an unknown outcome to the caller. An error with
//     domain.ErrRefused in its chain says besides that this batch must not be sent again. Error.Class says more, for logs and back-off.
//   - Commits carry a producer id per partition, the term as epoch and the records of the term as sequence (Options.Fencing), so that a broker
//     refuses older terms and drops repeats. That is help, not truth: the log's own fence decides.
//   - Reads are Fetch requests; offsets below the wanted one, which come with a batch's beginning, are left out. A read below the log's start is
//     a *domain.TruncatedError, one beyond its end waits.
//   - Open verifies the topics and refuses settings that can lose what was acknowledged.
//
// What can happen, what this package makes of it, and what the shard's fence does then. A test shows each row: on real brokers, on a real broker
// with log-in, TLS and rights, or, where those cannot be brought to it, on a broker inside the process that is told to answer so.
//
//	what                                           | class        | fence      | shown on
//	-----------------------------------------------|--------------|------------|---------
//	connection cut with the request in it          | Unknown      | send again | brokers
//	nobody listens                                 | Unknown      | send again | brokers
//	no answer in time                              | Unknown      | send again | brokers
//	topic is gone                                  | Unknown      | send again | brokers
//	[7] replicas do not follow in time             | Unknown      | send again | brokers
//	[20] too few replicas after the append         | Unknown      | send again | told
//	[-1] unknown server error                      | Unknown      | send again | told
//	any other code, base offset 0 or more          | Unknown      | send again | told
//	wrong password                                 | Unknown      | send again | secured
//	certificate of another authority               | Unknown      | send again | secured
//	[29] no right to write, as metadata tell       | Unknown      | send again | secured
//	[2] damaged on its way                         | NotWritten   | send again | brokers
//	[6] another broker leads                       | NotWritten   | send again | brokers
//	[19] too few replicas                          | NotWritten   | send again | brokers
//	[29] no right to write                         | NotWritten   | send again | secured
//	any other code, base offset -1                 | NotWritten   | send again | told
//	[45] sequence out of order                     | Sequence     | read, claim| brokers
//	[46] sequence seen before                      | Sequence     | read, claim| told
//	[59] unknown producer                          | Sequence     | read, claim| told
//	[47] old epoch                                 | Deposed      | read, claim| brokers
//	[90] fenced producer                           | Deposed      | read, claim| told
//	[10] batch too large                           | Content      | read, claim| brokers
//	[18] batch larger than a segment               | Content      | read, claim| brokers
//	[32] clock too far from the broker's           | Content      | read, claim| brokers
//	[87] record that the topic refuses             | Content      | read, claim| brokers
//	[42] malformed request                         | Content      | read, claim| told
//	[43] format is not taken                       | Content      | read, claim| told
//	[76] compression is not taken                  | Content      | read, claim| told
//	read below the log's start                     | TruncatedError| halt      | brokers
//	end of the log below what was read             | none         | halt       | lost tail
//	append lands below what was read               | none         | halt       | lost tail
//	any other failure of a read                    | its error    | read again | brokers
//
// "Send again" is the same batch, up to four times, then a claim. "Read, claim" sends it never again: the fence reads to the end, steps down when
// another claim is there, has the batch when an earlier attempt of it is, and claims a higher term otherwise. Codes say what became of one
// attempt only, whatever the class: an earlier attempt of the same batch may still land. kafka-go and Kafka's test double answer errors with
// base offset 0, which counts as Unknown.
package kafka
