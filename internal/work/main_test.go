package work_test

import (
	"os"
	"testing"

	"postern/internal/postgres/embedded/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
