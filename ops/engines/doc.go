// Package engines runs real Apache Kafka and Apache Cassandra on loopback, from their jars, for tests and for trying things out.
//
// A cluster lives in one folder: configuration, data, logs and pids. Nothing listens beyond loopback, heaps are small, and only processes
// that were started here, found again by pid and folder, are ever ended. Java 17 and Maven are needed; Missing says what is not there.
package engines
