// Package fence keeps one writer per partition over a log that knows nothing of writers, and gives every reader the same sequence.
//
// The log's append is not idempotent and may answer nothing: a failed append means unknown, and a request may land long after it
// was given up. So the log fences itself. An owner's right to write is a claim in the log; its commits carry the claim's term; and
// the reader rule (Reader), one piece of code for every consumer, skips what a deposed owner wrote and what was written twice.
//
// What must hold:
//
//   - Every reader that starts at 0, or at a saved Reader, accepts the same commits in the same order, or halts.
//   - (term, index) names one content for ever.
//   - A batch is Acked only when the reader rule accepts it, and BatchVoid only when it can never accept it.
//   - Exactly one of Acked and BatchVoid follows each Propose, unless the Owner halts or dies; a term has one owner.
//   - Safety rests on no clock and on no one's opinion of who the owner is: the ring decides only who tries.
//
// What the log must give: a batch lands whole or not at all, an offset names one record for ever, and what it has acknowledged stays. When it
// loses its end all the same, whoever reads or writes before it has grown again halts at once; whoever comes later halts at the next commit
// whose prev or term does not fit what it read. Nothing can tell an owner of that whose append lands just where it was expected.
//
// Owner is the writer's side as a step machine without clock, disk or network. The shell (ingest/shard) asks it what to do, does
// it, reports what came of it, and obeys the effects, in order. All methods of one Owner are called from one goroutine:
//
//	o := fence.NewOwner(checkpoint, fence.Config{Claim: newClaimBody, Jitter: nodeHash})
//	for {
//		act := o.Next(now()) // at most one action is under way; while one is, Next answers Rest
//		switch act.Do {
//		case fence.DoRead: // up to a limit of the shell's choice, waiting at most act.Wait for something to read
//			go func() { recs, end, err := log.Read(ctx, act.From, act.Wait); reads <- read{act.ID, recs, end, err} }()
//		case fence.DoAppend: // with a time limit: no answer is the outcome Unknown
//			go func() { base, err := log.Append(ctx, act.Batch); appends <- appended{act.ID, outcomeOf(err), base} }()
//		case fence.DoRest: // nothing until an event, or until act.Wait has passed when it is not 0
//		}
//		var effects []fence.Effect
//		select {
//		case r := <-reads: // r.err != nil: OnReadFailed
//			effects = o.OnRead(now(), r.id, r.recs, r.end)
//		case a := <-appends:
//			effects = o.OnAppend(now(), a.id, a.outcome, a.base)
//		case named := <-ring:
//			o.OnRing(now(), named)
//		case b := <-readyIf(o.Idle()): // the batch that formed meanwhile; Propose writes the headers into b.values
//			_, err = o.Propose(b.keys, b.values)
//		case <-after(act.Wait): // only after DoRest
//		}
//		for _, e := range effects { obey(e) }
//	}
package fence
