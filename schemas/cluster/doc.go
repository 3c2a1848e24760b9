// Package cluster is the form in which nodes tell each other commands, answers and rows.
//
// A command travels as its name and its Go struct in CBOR, by the names of its fields: a field that the reader does not know is ignored, one
// that is not there stays zero, so nodes of two versions understand each other as long as no field is renamed or changes its type
// (testdata/commands.txt is the list that must not change but by growing). A row travels in its stored form (package state).
//
// What must hold:
//
//   - What is read equals what was written: nil stays nil and empty stays empty, text that is not UTF-8 stays what it is, so that the rules
//     decide at the owner exactly as they would have here.
//   - Reading never panics, and what it allocates is bounded by the size of its input.
package cluster
