package disclosure

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzReadReportJSON: a report read without its files' data is the report that
// is read whole, refusals included.
func FuzzReadReportJSON(f *testing.F) {
	for _, s := range []string{
		`{"description":"x","files":[{"name":"a","data":"YQ=="},{"data":"","name":"b"},{"data":"YWJj","type":"t/x"}]}`,
		`{"files":[{"data":"Pz8\/Pz8\u002b","name":"a"}],"description":"escaped as some writers do"}`,
		`{"files":[{"data":"YW\nJj\r\n"}],"description":"x"}`, "{\"files\":[{\"data\":\"YW\nJj\"}],\"description\":\"x\"}",
		`{"files":[{"data":"YQ"}],"description":"x"}`, `{"files":[{"data":"YQ==YQ=="}],"description":"x"}`, `{"files":[{"data":"Y==="}],"description":"x"}`,
		`{"files":[{"data":"*\"*"}],"description":"x"}`, `{"files":[{"data":"\u12"}],"description":"x"}`, `{"files":[{"data":"YQ==","data":"Yg=="}],"description":"x"}`,
		`{"files":[{"data":[97,98]}],"description":"x"}`, `{"files":[{"data":null}],"description":"x"}`, `{"files":[{"Data":"YQ=="}],"description":"x"}`,
		`{"files":[{"d\u0061ta":"YQ=="}],"description":"x"}`, `{"files":{"data":"YQ=="},"description":"x"}`, `{"files":[["data","YQ=="]],"description":"x"}`,
		`{"data":"YQ==","description":"x"}`, `{"answers":{"files":[{"data":"YQ=="}]},"description":"x"}`, `{"description":"\"files\":[{\"data\":\"YQ==\"}]"}`,
		`{"files":[{"name":{"data":"YQ=="},"data":"YQ=="}],"description":"x"}`, `{"files":[{"data":"YQ==`, `{"files":[`, `[]`, `null`, ``, `{"files":[]}}]]`,
		`{"description":"x","files":[{"name":"data","data":"YQ=="}],"files":[{"data":"Yg=="}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		want, refused := ParseReportJSON(b)
		got, err := ReadReportJSON(bytes.NewReader(b))
		if (got == nil) != (want == nil) || (err == nil) != (refused == nil) {
			t.Fatalf("ReadReportJSON(%q) = %v, %v; read whole it is %v, %v", b, got, err, want, refused)
		}
		if want == nil {
			return
		}
		if refused != nil {
			var a, b *Refusal
			if !errors.As(err, &a) || !errors.As(refused, &b) || cmp.Diff(a.Faults, b.Faults) != "" {
				t.Fatalf("ReadReportJSON(%q) refuses with %v, read whole it is %v", b, err, refused)
			}
			return
		}
		for i := range got.Files {
			if size := int64(len(want.Files[i].Data)); got.Files[i].Size != size {
				t.Fatalf("file %d of %q has %d bytes, want %d", i, b, got.Files[i].Size, size)
			}
			got.Files[i] = want.Files[i]
		}
		if diff := cmp.Diff(*want, *got); diff != "" {
			t.Errorf("ReadReportJSON(%q) differs from the whole: %s", b, diff)
		}
	})
}

// TestReadReportJSONIsSmall: a large file is not held, and long text is refused.
func TestReadReportJSONIsSmall(t *testing.T) {
	data := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("lantern "), 2<<20))
	body := `{"description":"x","files":[{"name":"a","data":"` + data + `"}]}`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	report, err := ReadReportJSON(strings.NewReader(body))
	runtime.ReadMemStats(&after)
	if err != nil || len(report.Files) != 1 || report.Files[0].Size != 16<<20 {
		t.Fatalf("ReadReportJSON of 16 MiB = %v, %v", report, err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("ReadReportJSON allocated %d bytes for a file of 16 MiB, want less than 1 MiB", took)
	}
	_, err = ReadReportJSON(strings.NewReader(fmt.Sprintf(`{"description":%q}`, strings.Repeat("x", maxJSONText))))
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		t.Errorf("ReadReportJSON of text longer than %d = %v, want a refusal", maxJSONText, err)
	}
}
