package fence

// rule names the rules of this package as bits of a set of rules to leave out. The set is empty but in the simulation,
// which leaves out one at a time and must notice.
type rule uint32

const (
	// Of the reader.
	claimHigher     rule = 1 << iota // a claim counts only when its term is higher than all before
	lowerTermVoid                    // a commit of a lower term is void
	futureTermHalts                  // a commit of an unclaimed term halts
	repeatSkipped                    // a commit whose index was accepted is skipped
	gapHalts                         // a commit above the next index halts
	prevMatches                      // a commit whose prev differs halts

	// Of the owner.
	ownNonce          // it owns only after its own claim, told by all its bytes
	claimReadBack     // it owns only after reading up to its claim
	claimNotVoid      // it owns only if no equal or higher term came before its claim
	termAboveAll      // it claims a term above the highest seen
	unknownIsNotNo    // an append without answer may have landed
	unknownIsNotYes   // an append without answer may not have landed
	endProvesNothing  // a batch that is not there at the end may still land
	claimSettles      // what the reader rule accepted before the own claim is in
	claimSettlesVoid  // what it did not accept before the own claim never will be
	gapIsRead         // an answer above the expected offset acknowledges nothing before the gap is read
	lowerBaseHalts    // an answer below the expected offset is a truncation
	lowerEndHalts     // an end below the next to read is a truncation
	sameBatchAgain    // what is sent again is the same batch
	oldAnswersIgnored // answers to abandoned attempts are ignored
	stepsDown         // a higher claim ends the ownership
	refusedClaims     // a refused batch is never sent again but settled by a claim
	followsTail       // an idle owner reads on
	onlyWhenNamed     // claims, and sending again, only while the ring names the node
	settledRing       // a claim only after the ring has named the node for a while
	claimsMetered     // claims back off
)

func (r rule) has(x rule) bool { return r&x != 0 }
