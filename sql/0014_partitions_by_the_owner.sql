-- oldest program: 2
-- Whoever serves owns nothing, so the owner's function makes its partitions: of this schema's tables, whatever the
-- caller's search path or temporary tables are.

CREATE OR REPLACE FUNCTION ensure_partitions(wanted date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    parent text;
    child  text;
BEGIN
    IF wanted <> date_trunc('month', wanted) THEN
        RAISE EXCEPTION '% is not the first of a month', wanted;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('gateway.ensure_partitions'));
    FOREACH parent IN ARRAY ARRAY['events', 'attempts', 'payloads'] LOOP
        child := parent || to_char(wanted, '_YYYY_MM');
        IF to_regclass(child) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                           child, parent, wanted, wanted + interval '1 month');
        END IF;
    END LOOP;
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION ensure_partitions(date) SET search_path = %I, pg_temp', current_schema());
END $$;
REVOKE ALL ON FUNCTION ensure_partitions(date) FROM PUBLIC;
