package server

import (
	"context"
	"errors"
	"io"
	"net/http"

	"postern/internal/disclosure"
)

// table is errors and what they become; the first match holds. To a stranger
// "forbidden" and "not there" look the same, because a door's guards answer
// ErrNotFound before a stranger reaches anything that could say ErrForbidden.
var table = []struct {
	err    error
	answer Answer
}{
	{errNotThere, Answer{Status: http.StatusNotFound, Title: "There is no page here", Text: "Check the address, or go back to the start."}},
	{disclosure.ErrNotFound, Answer{Status: http.StatusNotFound, Title: "There is no page here", Text: "Check the address, or go back to the start."}},
	{errMethod, Answer{Status: http.StatusMethodNotAllowed, Title: "This address does not take that", Text: "Go back to the page you came from."}},
	{errOrigin, Answer{Status: http.StatusForbidden, Title: "The form came from another site", Text: "Nothing was done. Open the page here and send the form again."}},
	{disclosure.ErrForbidden, Answer{Status: http.StatusForbidden, Title: "Your roles do not allow this", Text: "Nothing was done. Ask an admin of the team, or somebody whose role it is."}},
	{disclosure.ErrStepUp, Answer{Status: http.StatusForbidden, Title: "Confirm with your second factor first", Text: "Nothing was done."}},
	{disclosure.ErrStale, Answer{Status: http.StatusConflict, Title: "Somebody changed this meanwhile", Text: "Nothing was done. Go back, load the page again, and repeat the step if it is still right."}},
	{disclosure.ErrHeld, Answer{Status: http.StatusConflict, Title: "The instance is held", Text: "Nothing is sent or published until a member lets go. The health page says why."}},
	{io.ErrUnexpectedEOF, broken}, {errBroken, broken},
	{context.Canceled, Answer{Status: 499, Title: "You left"}},
	{context.DeadlineExceeded, Answer{Status: http.StatusServiceUnavailable, Title: "That took too long", Text: "Try again in a moment.", RetryIn: 5}},
}

var broken = Answer{Status: http.StatusBadRequest, Title: "The form did not arrive whole", Text: "Nothing was stored. Go back and send it again."}

func (s *Server) judge(err error) Answer {
	if s.c.Problem != nil {
		if a, ok := s.c.Problem(err); ok {
			return a
		}
	}
	var refusal *disclosure.Refusal
	if errors.As(err, &refusal) {
		a := Answer{Status: http.StatusUnprocessableEntity, Title: "That cannot be done yet", Text: "Nothing was changed."}
		for _, f := range refusal.Faults {
			a.Faults = append(a.Faults, f.Text)
		}
		return a
	}
	var size *http.MaxBytesError
	if errors.As(err, &size) {
		return Answer{Status: http.StatusRequestEntityTooLarge, Title: "That is too large", Text: "Nothing was stored. Send less, or in parts."}
	}
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.answer
		}
	}
	return Answer{Status: http.StatusInternalServerError, Title: "Something went wrong here", Text: "It is our fault, not yours. Try again; if it stays, tell us the number below."}
}
