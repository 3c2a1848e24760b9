package cluster

import (
	"errors"
	"strings"

	"parley/domain"
	"parley/schemas/cluster/clusterpb"
)

// maxCause is how much of a failure's cause travels, in bytes: it is for a log.
const maxCause = 1 << 10

// EncodeResult returns the answer to the command of the given call.
func EncodeResult(id uint64, r domain.Result) *clusterpb.Answer {
	a := &clusterpb.Answer{Id: id, Failure: EncodeFailure(r.Err), Seq: uint64(r.Seq), T: uint64(r.T), Repeat: r.Repeat}
	if p := r.Position; p != (domain.Position{}) {
		a.Position = &clusterpb.Position{
			Partition: uint32(p.Partition), Offset: uint64(p.Offset), Term: uint64(p.Term), Index: uint64(p.Index), Prev: p.Prev,
		}
	}
	return a
}

// DecodeResult reads what EncodeResult wrote.
func DecodeResult(a *clusterpb.Answer) domain.Result {
	r := domain.Result{Err: DecodeFailure(a.GetFailure()), Seq: domain.Seq(a.GetSeq()), T: domain.T(a.GetT()), Repeat: a.GetRepeat()}
	if p := a.GetPosition(); p != nil {
		r.Position = domain.Position{
			Partition: domain.Partition(p.GetPartition()), Offset: domain.Offset(p.GetOffset()), Term: domain.Term(p.GetTerm()),
			Index: domain.Index(p.GetIndex()), Prev: p.GetPrev(),
		}
	}
	return r
}

// EncodeFailure returns the form of an error: its code and reason, and all that it says as the cause. nil stays nil.
func EncodeFailure(err error) *clusterpb.Failure {
	if err == nil {
		return nil
	}
	f := &clusterpb.Failure{Code: string(domain.CodeOf(err))}
	e, ok := errors.AsType[*domain.Error](err)
	if ok {
		f.Code, f.Reason = strings.ToValidUTF8(string(e.Code), "?"), []byte(e.Reason)
	}
	if cause := causeOf(err, e); cause != nil {
		text := cause.Error()
		f.Cause = []byte(text[:min(len(text), maxCause)])
	}
	return f
}

// causeOf returns what err says beyond the code and reason of e.
func causeOf(err error, e *domain.Error) error {
	if own, ok := err.(*domain.Error); ok && own == e { //nolint:errorlint // the error itself, not one in its chain
		return e.Err
	}
	return err
}

// DecodeFailure reads what EncodeFailure wrote: nil, or a *domain.Error.
func DecodeFailure(f *clusterpb.Failure) error {
	if f == nil {
		return nil
	}
	e := &domain.Error{Code: domain.Code(f.GetCode()), Reason: string(f.GetReason())}
	if e.Code == "" {
		e.Code = domain.Internal
	}
	if cause := f.GetCause(); len(cause) > 0 {
		e.Err = errors.New(string(cause))
	}
	return e
}
