package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// patience is how long one broker may take to let a client in.
const patience = 3 * time.Second

// knock connects to the first broker that lets us in, as every connection of the transport will: TLS, log-in, and a first question. Its error
// says for each broker why not. The transport itself keeps such errors to itself and tells only that it knows no brokers, or no topics.
func (l *Log) knock(ctx context.Context) error {
	mechanism, err := l.o.mechanism()
	if err != nil {
		return err
	}
	d := &kafkago.Dialer{ClientID: "parley", Timeout: patience, TLS: l.o.TLS, SASLMechanism: mechanism}
	var refused []error
	for _, addr := range l.o.Brokers {
		err := enter(ctx, d, addr)
		if err == nil {
			return nil
		}
		refused = append(refused, fmt.Errorf("broker %s: %w", addr, err))
	}
	return errors.Join(refused...)
}

func enter(ctx context.Context, d *kafkago.Dialer, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = c.Controller() // what a client may ask only when it is in
	return err
}

// explained adds to an error of a transport that knows nothing why brokers do not let it in.
func (l *Log) explained(ctx context.Context, err error) error {
	if !errors.Is(err, protocol.ErrNoTopic) && !errors.Is(err, kafkago.BrokerNotAvailable) {
		return err
	}
	if why := l.knock(ctx); why != nil {
		return fmt.Errorf("%w: %w", err, why)
	}
	return err
}
