package desk

import (
	"errors"
	"slices"

	"postern/internal/disclosure"
	"postern/internal/server"
	pages "postern/web/desk"
	"postern/web/ui"
)

// errorView is the page for what went wrong, or is not allowed.
func errorView(bare ui.Desk, a server.Answer) pages.ErrorView {
	view := pages.ErrorView{Desk: bare, Status: a.Status, Text: a.Text, RequestID: a.RequestID}
	for _, text := range a.Faults {
		view.Faults = append(view.Faults, disclosure.Fault{Text: text})
	}
	return view
}

// refused is faults for forms with text of a member's own: that somebody was
// quicker is a fault too, so that the text is shown again and not lost. Fields
// are renamed to the controls of the page, a pair at a time.
func refused(err error, fields ...string) ([]disclosure.Fault, error) {
	if errors.Is(err, disclosure.ErrStale) {
		return []disclosure.Fault{{Text: "Somebody changed this meanwhile. What you typed is still here; look at the rest, then send it again."}}, nil
	}
	list, err := faults(err)
	if err != nil {
		return nil, err
	}
	list = slices.Clone(list)
	for i := range list {
		for j := 0; j+1 < len(fields); j += 2 {
			if list[i].Field == fields[j] {
				list[i].Field = fields[j+1]
			}
		}
	}
	return list, nil
}

// all puts what several steps refuse into one refusal, each sentence once;
// another error comes first.
func all(errs ...error) error {
	var sum *disclosure.Refusal
	for _, err := range errs {
		if err == nil {
			continue
		}
		list, other := faults(err)
		if other != nil {
			return other
		}
		for _, f := range list {
			if sum == nil || !slices.Contains(sum.Faults, f) {
				sum = sum.Add(f.Field, f.Text)
			}
		}
	}
	return sum.Err()
}

// typedWrong is the answer to another name than the one asked for.
func typedWrong(name string) error {
	return disclosure.Refuse(pages.FieldTyped, "Type “"+name+"” exactly as it stands here.")
}
