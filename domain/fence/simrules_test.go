package fence

import "testing"

// simBound is the number of worlds in which a missing rule must be noticed.
const simBound = 3000

// simRules names every rule, so that none is left out of the table unseen.
var simRules = []struct {
	name  string
	omit  rule
	shell shellRule
}{
	{name: "reader: a claim counts only above all terms before", omit: claimHigher},
	{name: "reader: a commit of a lower term is void", omit: lowerTermVoid},
	{name: "reader: a commit of an unclaimed term halts", omit: futureTermHalts},
	{name: "reader: a commit seen before is skipped", omit: repeatSkipped},
	{name: "reader: a gap halts", omit: gapHalts},
	{name: "reader: a wrong prev halts", omit: prevMatches},

	{name: "owner: only its own nonce makes it owner", omit: ownNonce},
	{name: "owner: it reads up to its claim", omit: claimReadBack},
	{name: "owner: an equal or higher term before its claim beats it", omit: claimNotVoid},
	{name: "owner: it claims above the highest term", omit: termAboveAll},
	{name: "owner: no answer is not a no", omit: unknownIsNotNo},
	{name: "owner: no answer is not a yes", omit: unknownIsNotYes},
	{name: "owner: the end proves nothing", omit: endProvesNothing},
	{name: "owner: what was accepted before its claim is in", omit: claimSettles},
	{name: "owner: what was not accepted before its claim is void", omit: claimSettlesVoid},
	{name: "owner: the gap below an answer is read", omit: gapIsRead},
	{name: "owner: a low answer halts", omit: lowerBaseHalts},
	{name: "owner: a low end halts", omit: lowerEndHalts},
	{name: "owner: the same batch is sent again", omit: sameBatchAgain},
	{name: "owner: answers to abandoned attempts are ignored", omit: oldAnswersIgnored},
	{name: "owner: it steps down", omit: stepsDown},
	{name: "owner: a refused batch is settled by a claim", omit: refusedClaims},
	{name: "owner: it follows its tail", omit: followsTail},
	{name: "owner: it tries only while the ring names it", omit: onlyWhenNamed},
	{name: "owner: it claims only when the ring has settled", omit: settledRing},
	{name: "owner: claims are metered", omit: claimsMetered},

	{name: "shell: answers wait for the log", shell: answerAfterLog},
	{name: "shell: a repeat's answer waits too", shell: repeatWaits},
	{name: "shell: a new term drops what was not sent", shell: unsentDropped},
	{name: "shell: a void batch drops its state", shell: speculativeDropped},
	{name: "shell: only acknowledged rows are flushed", shell: ackedFlushed},
	{name: "shell: the checkpoint waits for the rows", shell: rowsBeforePlace},
	{name: "shell: the inherited tail is flushed too", shell: inheritedFlushed},
	{name: "shell: a late row write loses", shell: asofWins},
	{name: "shell: an old event is skipped", shell: oldEventsSkipped},
	{name: "shell: t grows whatever the clock says", shell: tAboveLast},
	{name: "shell: a loaded row has its tail", shell: tailLoaded},
	{name: "shell: a start has the checkpoint's term", shell: checkpointed},
}

// TestEveryRuleMatters leaves out one rule at a time: the simulation must notice.
func TestEveryRuleMatters(t *testing.T) {
	t.Parallel()
	var omit rule
	var shell shellRule
	for _, r := range simRules {
		omit, shell = omit|r.omit, shell|r.shell
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(simBound) {
				if _, err := runSim(simSpec{seed: seed, omit: r.omit, shell: r.shell}); err != nil {
					t.Logf("noticed in world %d: %v", seed, err)
					return
				}
			}
			t.Errorf("nobody noticed in %d worlds", simBound)
		})
	}
	if omit != claimsMetered<<1-1 || shell != checkpointed<<1-1 {
		t.Error("a rule is missing in the table")
	}
}
