package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// imports is who may import whom inside the house, from docs/architecture.md.
// A package stands for itself and for what lies below it unless a longer name
// stands here too.
var imports = map[string]string{
	"migrations":                 "",
	"web":                        "",
	"internal/disclosure":        "",
	"internal/pgp":               "",
	"internal/vault":             "",
	"internal/auth":              "",
	"internal/search":            "",
	"internal/smtp":              "",
	"internal/postgres/embedded": "",
	"internal/letters":           "internal/disclosure",
	"internal/postgres/gatedb":   "internal/disclosure",
	"internal/policy":            "internal/disclosure",
	"web/ui":                     "internal/disclosure web",
	"web/public":                 "web/ui internal/disclosure",
	"web/desk":                   "web/ui internal/disclosure",
	"internal/mail":              "internal/pgp",
	"internal/server":            "web/ui internal/disclosure",
	"internal/postgres":          "internal/vault internal/policy internal/disclosure migrations",
	"internal/publish/feed":      "internal/disclosure",
	"internal/publish":           "internal/publish/feed web/public web/ui internal/pgp internal/disclosure",
	"internal/doctor":            "internal/postgres internal/smtp internal/pgp internal/vault internal/policy internal/disclosure",
	"internal/work":              "internal/postgres internal/publish internal/letters internal/mail internal/smtp internal/pgp internal/vault internal/disclosure",
	"internal/desk": "internal/server internal/postgres web/desk web/ui internal/publish internal/letters internal/mail internal/pgp internal/auth " +
		"internal/search internal/doctor internal/vault internal/policy internal/disclosure",
	"internal/gate": "internal/server internal/postgres/gatedb web/public web/ui internal/pgp internal/vault internal/policy internal/disclosure",
	"internal/demo": "internal/postgres internal/work internal/publish internal/letters internal/mail internal/pgp internal/auth internal/vault internal/policy internal/disclosure",
	"internal/instance": "internal/gate internal/desk internal/work internal/postgres internal/postgres/gatedb internal/postgres/embedded internal/server " +
		"internal/publish internal/letters internal/mail internal/smtp internal/pgp internal/auth internal/search internal/doctor internal/vault internal/policy internal/disclosure internal/demo migrations web",
	"cmd/postern": "*",
	"cmd/bench":   "*",
}

// only names who alone may import a module from outside.
var only = map[string]string{
	"github.com/go-chi/chi/v5":            "internal/server internal/gate internal/desk",
	"github.com/jackc/pgx/v5":             "internal/postgres internal/postgres/gatedb internal/postgres/embedded",
	"github.com/ProtonMail/go-crypto":     "internal/pgp",
	"github.com/emersion/go-message":      "internal/mail",
	"github.com/emersion/go-smtp":         "internal/smtp",
	"github.com/emersion/go-sasl":         "internal/smtp",
	"github.com/emersion/go-msgauth":      "internal/smtp",
	"github.com/emersion/go-imap/v2":      "internal/smtp",
	"github.com/a-h/templ":                "web/ui web/public web/desk internal/server",
	"github.com/yuin/goldmark":            "internal/publish",
	"github.com/microcosm-cc/bluemonday":  "internal/publish",
	"github.com/go-chi/httprate":          "internal/server",
	"github.com/alecthomas/kong":          "cmd/postern",
	"github.com/prometheus/client_golang": "internal/instance",
	"github.com/pressly/goose/v3":         "internal/postgres",
	"github.com/pelletier/go-toml/v2":     "internal/policy",
	"github.com/sethvargo/go-diceware":    "internal/vault",
}

// testOnly packages may be imported by tests and cmd/bench alone.
var testOnly = []string{"internal/postgres/embedded/pgtest", "internal/postgres/postgrestest"}

type listed struct {
	ImportPath string
	Imports    []string
}

func listAll(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list ./...: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// room finds the longest name of the table that pkg is or lies below.
func room(pkg string) string {
	for name := pkg; name != "."; {
		if _, ok := imports[name]; ok {
			return name
		}
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return ""
		}
		name = name[:i]
	}
	return ""
}

// TestImports holds the house to its import table: non-test code has no other edge.
func TestImports(t *testing.T) {
	for _, p := range listAll(t) {
		pkg := strings.TrimPrefix(p.ImportPath, "postern/")
		if strings.HasPrefix(pkg, "internal/e2e") || contains(testOnly, pkg) {
			continue
		}
		from := room(pkg)
		if from == "" {
			t.Errorf("%s has no row in the import table: a new package needs a reason that fits one sentence", pkg)
			continue
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, "postern/") {
				continue
			}
			imp = strings.TrimPrefix(imp, "postern/")
			if contains(testOnly, imp) && pkg != "cmd/bench" {
				t.Errorf("%s imports %s, which is for tests", pkg, imp)
				continue
			}
			to := room(imp)
			if to == from || imports[from] == "*" || contains(strings.Fields(imports[from]), to) {
				continue
			}
			t.Errorf("%s imports %s; the table allows it only: %s", pkg, imp, imports[from])
		}
	}
}

// TestOnly holds modules from outside to the packages that wrap them.
func TestOnly(t *testing.T) {
	for _, p := range listAll(t) {
		pkg := strings.TrimPrefix(p.ImportPath, "postern/")
		if pkg == "cmd/bench" || strings.HasPrefix(pkg, "internal/e2e") || contains(testOnly, pkg) {
			continue
		}
		for _, imp := range p.Imports {
			for module, who := range only {
				if (imp == module || strings.HasPrefix(imp, module+"/")) && !contains(strings.Fields(who), pkg) {
					t.Errorf("%s imports %s; only these may: %s", pkg, imp, who)
				}
			}
		}
	}
}

// TestGateCannotReachCases: no path of imports leads from the gate to a case.
func TestGateCannotReachCases(t *testing.T) {
	graph := map[string][]string{}
	for _, p := range listAll(t) {
		graph[p.ImportPath] = p.Imports
	}
	seen := map[string]bool{}
	var walk func(string)
	walk = func(pkg string) {
		if seen[pkg] || !strings.HasPrefix(pkg, "postern/") {
			return
		}
		seen[pkg] = true
		for _, imp := range graph[pkg] {
			walk(imp)
		}
	}
	walk("postern/internal/gate")
	if len(seen) < 3 {
		t.Fatalf("walked %d packages from the gate; is it there?", len(seen))
	}
	for _, far := range []string{"postern/internal/postgres", "postern/internal/desk", "postern/internal/work", "postern/internal/letters", "postern/internal/mail"} {
		if seen[far] {
			t.Errorf("the gate reaches %s", far)
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
