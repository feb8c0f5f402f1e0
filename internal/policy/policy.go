// Package policy reads what a project promises from one TOML file. It is
// strict: an unknown key, a wrong kind of value, a zone or an address that
// cannot be right is named with its line, and all faults are named at once, so
// that what is in force is what somebody meant. A file that is refused changes
// nothing.
package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"postern/internal/disclosure"
)

// MaxBytes is how long a policy file may be.
const MaxBytes = 256 << 10

// Fault is one thing wrong with a file. Line 0: something is missing, so there
// is no line.
type Fault struct {
	Line int
	Key  string // "ack.within"; empty for a fault of the syntax
	Text string
}

func (f Fault) String() string {
	if f.Line == 0 {
		return f.Text
	}
	return fmt.Sprintf("line %d: %s", f.Line, f.Text)
}

// Faults is the error of Parse: all of them, by line.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, x := range f {
		lines[i] = x.String()
	}
	return strings.Join(lines, "\n")
}

// Parse reads a policy and fills what the file leaves out. The error is of
// type Faults. Of broken syntax only the first place is known.
func Parse(text []byte) (*disclosure.Policy, error) {
	if len(text) > MaxBytes {
		return nil, Faults{{Text: fmt.Sprintf("the file has %d bytes; %d are the limit", len(text), MaxBytes)}}
	}
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		var de *toml.DecodeError
		if errors.As(err, &de) {
			line, _ := de.Position()
			return nil, Faults{{Line: line, Text: strings.TrimPrefix(de.Error(), "toml: ")}}
		}
		return nil, Faults{{Text: strings.TrimPrefix(err.Error(), "toml: ")}}
	}
	r := &reader{lines: keyLines(text)}
	p := new(disclosure.Policy)
	r.table("", tree, known, func(k key, value any, path string) { k.read(r, p, path, value) })
	r.defaults(p, tree)
	r.check(p)
	if len(r.faults) > 0 {
		slices.SortStableFunc(r.faults, func(a, b Fault) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key)) })
		return nil, r.faults
	}
	return p, nil
}

// reader gathers faults while the tree is read.
type reader struct {
	faults Faults
	lines  map[string]int // "series.1.name" → line
}

// fault names the line of the key, or of the nearest table around it.
func (r *reader) fault(path, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for at := path; ; {
		if line, ok := r.lines[at]; ok {
			r.faults = append(r.faults, Fault{line, path, text})
			return
		}
		i := strings.LastIndexByte(at, '.')
		if i < 0 {
			break
		}
		at = at[:i]
	}
	r.faults = append(r.faults, Fault{0, path, text})
}

// table reads each key of a table that keys knows, and refuses the others.
// prefix is the table's path with a dot, or empty.
func (r *reader) table(prefix string, tree map[string]any, keys []key, read func(k key, value any, path string)) {
	r.walk(prefix, prefix, tree, keys, read)
}

// walk: place is where the tree lies in the file ("series.0."), name is how
// the keys call it ("").
func (r *reader) walk(place, name string, tree map[string]any, keys []key, read func(k key, value any, path string)) {
	for _, word := range sortedKeys(tree) {
		full := name + word
		if i := slices.IndexFunc(keys, func(k key) bool { return k.name == full }); i >= 0 {
			read(keys[i], tree[word], place+word)
			continue
		}
		isTable := slices.ContainsFunc(keys, func(k key) bool { return strings.HasPrefix(k.name, full+".") })
		if sub, ok := tree[word].(map[string]any); ok && isTable {
			r.walk(place+word+".", full+".", sub, keys, read)
			continue
		}
		if isTable {
			r.fault(place+word, "`%s` is a table: write [%s] and its keys below", full, full)
			continue
		}
		if near := nearest(full, keys); near != "" {
			r.fault(place+word, "unknown key `%s`; did you mean `%s`?", full, near)
		} else {
			r.fault(place+word, "unknown key `%s`", full)
		}
	}
}

func sortedKeys(m map[string]any) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// nearest finds the key or table somebody may have meant: the least number of
// changed letters in the same table, else the same word in another one.
func nearest(full string, keys []key) string {
	var names []string
	for _, k := range keys {
		names = append(names, k.name)
		for i, c := range k.name {
			if c == '.' && !slices.Contains(names, k.name[:i]) {
				names = append(names, k.name[:i])
			}
		}
	}
	table, word := splitName(full)
	best, least := "", 1+max(2, len(word)/3)
	for _, n := range names {
		t, w := splitName(n)
		d := distance(word, w)
		if strings.HasPrefix(word, w+"_") || strings.HasPrefix(w, word+"_") {
			d = 1
		}
		if t == table && d < least {
			best, least = n, d
		}
	}
	if best != "" {
		return best
	}
	for _, n := range names {
		if _, w := splitName(n); w == word {
			return n
		}
	}
	return ""
}

func splitName(full string) (table, word string) {
	i := strings.LastIndexByte(full, '.')
	return full[:i+1], full[i+1:]
}

// distance is Levenshtein's, over bytes; keys are ASCII and short.
func distance(a, b string) int {
	if len(a) > 200 || len(b) > 200 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		left := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := left
			if a[i-1] != b[j-1] {
				change++
			}
			left = row[j]
			row[j] = min(change, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}

// keyLines finds the line of each key and table. The text has been parsed
// already, so that what fails here has no line, and nothing worse.
func keyLines(text []byte) map[string]int {
	lines := map[string]int{}
	count := map[string]int{} // of array tables
	var p unstable.Parser
	p.Reset(text)
	prefix := ""
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			name, line := keyName(&p, e)
			if e.Kind == unstable.ArrayTable {
				n := count[name]
				count[name] = n + 1
				if n == 0 {
					note(lines, name, line)
				}
				name = fmt.Sprintf("%s.%d", name, n)
			}
			note(lines, name, line)
			prefix = name + "."
		case unstable.KeyValue:
			noteValue(&p, lines, prefix, e)
		}
	}
	return lines
}

func noteValue(p *unstable.Parser, lines map[string]int, prefix string, e *unstable.Node) {
	name, line := keyName(p, e)
	note(lines, prefix+name, line)
	noteInside(p, lines, prefix+name+".", e.Value())
}

func noteInside(p *unstable.Parser, lines map[string]int, prefix string, v *unstable.Node) {
	switch v.Kind {
	case unstable.InlineTable:
		for it := v.Children(); it.Next(); {
			noteValue(p, lines, prefix, it.Node())
		}
	case unstable.Array:
		i := 0
		for it := v.Children(); it.Next(); i++ {
			if it.Node().Kind == unstable.Comment {
				i--
				continue
			}
			noteInside(p, lines, fmt.Sprintf("%s%d.", prefix, i), it.Node())
		}
	}
}

func note(lines map[string]int, name string, line int) {
	if _, ok := lines[name]; !ok {
		lines[name] = line
	}
}

func keyName(p *unstable.Parser, e *unstable.Node) (string, int) {
	var words []string
	line := 0
	for it := e.Key(); it.Next(); {
		n := it.Node()
		words = append(words, string(n.Data))
		line = p.Shape(n.Raw).Start.Line
	}
	return strings.Join(words, "."), line
}
