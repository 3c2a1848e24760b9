// Package rpc takes commands and reads of state to the node that owns their stream, and brings the answers back, over gRPC.
//
// Peers is the near side: one link per node, which is one stream of commands and reads in order, and of answers in any order. Register offers
// the far side, which hands the commands to the owner.
//
// What must hold:
//
//   - Commands that are submitted one after the other reach the owner's SubmitHere in that order.
//   - Every request is answered exactly once: by its owner, or with the code Unknown when the link broke, when it could not be sent in time, or
//     when no answer came by its deadline and a margin. What was sent once is never sent again by this package.
//   - Once a request was answered with Unknown because of its link, nothing that was submitted to that node before this answer is sent
//     afterwards: who submits again does so behind everything that was said before.
//   - When a stream has been opened anew, nothing that lay unread in the one before is done any more.
//   - Done is called with no lock of this package held.
//   - All is bounded: calls and bytes under way per node, bytes of a frame and of an answer, reads at once, the time to wait.
package rpc
