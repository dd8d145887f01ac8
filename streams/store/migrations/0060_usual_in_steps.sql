-- What is usual for an age group or a facility is told in the same steps as its count, downwards:
-- rounded to the nearest step, 2.57 stood as 5 and 2.29 as 0. In the table of facilities less than
-- one step stands as "<5", the text of that column for no value.

CREATE FUNCTION pg_temp.replace_in(in_function text, in_pairs text[]) RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    statement text := pg_get_functiondef(in_function::regproc);
    pair      text[];
BEGIN
    FOREACH pair SLICE 1 IN ARRAY in_pairs LOOP
        IF strpos(statement, pair[1]) = 0 THEN
            RAISE EXCEPTION '% lacks the text: %', in_function, pair[1];
        END IF;
        statement := replace(statement, pair[1], pair[2]);
    END LOOP;
    EXECUTE statement;
END
$$;

SELECT pg_temp.replace_in('screen_ages', ARRAY[['5 * round(a.usual / 5)', 'told_step(a.usual)']]);
SELECT pg_temp.replace_in('screen_facilities', ARRAY[
    ['round(sum(f.value) FILTER (WHERE f.day < l.week)', '(sum(f.value) FILTER (WHERE f.day < l.week)'],
    ['5 * round(f.usual / 5)', 'nullif(told_step(f.usual), 0)']]);
DROP FUNCTION pg_temp.replace_in;
