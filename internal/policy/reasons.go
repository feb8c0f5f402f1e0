package policy

import (
	"fmt"

	"postern/internal/disclosure"
)

// SafeLetters are the letters that may be named as free of detail: none of
// them says a word of what was reported.
var SafeLetters = []string{"acknowledgment", "ask-key", "mailbox-invitation", "mailbox-news", "application-declined", "application-incomplete"}

// reasonKeys are those of one [[reasons]]. They read into the last one.
var reasonKeys = []key{
	line("name", func(p *policy) *string { return &lastReason(p).Name }, nil),
	line("verdict", func(p *policy) *string { return (*string)(&lastReason(p).Verdict) }, oneOf(verdictNames()...)),
	text("text", func(p *policy) *string { return &lastReason(p).Text }),
}

func lastReason(p *policy) *disclosure.Reason { return &p.Reasons[len(p.Reasons)-1] }

func verdictNames() []string {
	var names []string
	for _, v := range disclosure.Verdicts {
		names = append(names, string(v))
	}
	return names
}

func readReasons(r *reader, p *policy, path string, value any) {
	items, ok := value.([]any)
	for i := 0; ok && i < len(items); i++ {
		var tree map[string]any
		if tree, ok = items[i].(map[string]any); !ok {
			break
		}
		place := fmt.Sprintf("%s.%d", path, i)
		p.Reasons = append(p.Reasons, disclosure.Reason{})
		r.walk(place+".", "", tree, reasonKeys, func(k key, value any, path string) { k.read(r, p, path, value) })
		for _, k := range reasonKeys {
			if _, given := tree[k.name]; !given {
				r.fault(place, "a reason needs a `%s`", k.name)
			}
		}
		for _, other := range p.Reasons[:len(p.Reasons)-1] {
			if name := lastReason(p).Name; other.Name == name && name != "" {
				r.fault(place+".name", "reason %q is named twice", name)
			}
		}
	}
	if !ok {
		r.fault(path, "`%s` is a list of tables: write [[%s]] above each", path, path)
	}
}

func showReasons(p *policy) any {
	var tables []map[string]any
	for i := range p.Reasons {
		one := &policy{Reasons: p.Reasons[i : i+1]}
		table := map[string]any{}
		for _, k := range reasonKeys {
			table[k.name] = k.show(one)
		}
		tables = append(tables, table)
	}
	return tables
}
